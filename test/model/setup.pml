/*
 * Set-up is paid first (ADR 21): a relay between a payer and a next hop that are accomplices. CREATE carries a set-up payment,
 * EXTEND says how much of it goes on; for the rest the relay opens a channel to the next hop when it has none. Two circuits
 * at a time; receipts and their syncs come late or never; the relay dies; its channel is closed again and again.
 */
#ifndef MOST
#define MOST 4 /* the largest set-up payment */
#endif
#define COST 2 /* an opening payment and a transaction */
#define CIRCUITS 2
#define EVENT d_step

mtype = { NONE, HELD, SIGNED, READY, EXTENDED };
mtype state[CIRCUITS] = NONE;
/* What CREATE carries. */
byte setup[CIRCUITS];
bool channel;
/* Nobody's: what synced receipts paid for set-up, less what the relay spent for it on chain and onward. */
short spare;

inline spend(amount) {
  spare = spare - (amount);
  /* I20: a relay spends for a payer's set-up only what that payer has paid for it before. */
  assert(spare >= 0)
}

inline forget(c) {
  state[c] = NONE;
  setup[c] = 0
}

#ifdef FAULT_ACTS_BEFORE_SYNC
#define ACTS(c) (state[c] == SIGNED || state[c] == READY)
#else
#ifdef FAULT_ACTS_ON_CREDIT
#define ACTS(c) (state[c] == HELD || state[c] == READY)
#else
#ifdef FAULT_SPENDS_IT_TWICE
#define ACTS(c) (state[c] == READY || state[c] == EXTENDED)
#else
#define ACTS(c) (state[c] == READY)
#endif
#endif
#endif

#ifdef FAULT_COUNTS_WHAT_GOES_ON
#define KEPT(c, onward) setup[c]
#else
#define KEPT(c, onward) (setup[c] - onward)
#endif

inline extend(c) {
  atomic { ACTS(c) -> /* EXTEND: any part of it, more than it too, is to go on */
    onward = 0;
    do
    :: onward <= MOST -> onward++
    :: break
    od;
    d_step {
      if
      :: onward > setup[c] -> forget(c) /* refused */
      :: onward <= setup[c] && channel ->
        spend(onward);
        state[c] = EXTENDED
      :: onward <= setup[c] && !channel && KEPT(c, onward) >= COST ->
        channel = true;
        spend(COST + onward);
        state[c] = EXTENDED
      :: else -> forget(c) /* refused with SETUP: what is missing */
      fi;
      onward = 0
    }
  }
}

inline create(c) {
  atomic { state[c] == NONE ->
    n = 0;
    do
    :: n < MOST -> n++
    :: break
    od;
    d_step { setup[c] = n; state[c] = HELD; n = 0 }
  }
}

inline synced(c) {
  if
  :: state[c] == SIGNED ->
    spare = (spare + setup[c] < 3 * MOST -> spare + setup[c] : 3 * MOST);
    state[c] = READY
  :: else
  fi
}

active proctype Payer() {
  byte n;
  do
  :: create(0)
  :: create(1)
  /* A receipt is for all that is due. */
  :: EVENT { state[0] == HELD || state[1] == HELD ->
      state[0] = (state[0] == HELD -> SIGNED : state[0]);
      state[1] = (state[1] == HELD -> SIGNED : state[1])
    }
  :: EVENT { state[0] != NONE -> forget(0) } /* DESTROY */
  :: EVENT { state[1] != NONE -> forget(1) }
  :: EVENT { true -> forget(0); forget(1) } /* the link is gone */
  od
}

active proctype Relay() {
  byte onward;
  do
  :: EVENT { state[0] == SIGNED || state[1] == SIGNED -> synced(0); synced(1) }
  :: extend(0)
  :: extend(1)
  :: EVENT { true -> forget(0); forget(1) } /* killed */
  od
}

active proctype NextHop() {
  do
  :: EVENT { channel -> channel = false } /* closes the channel that was opened to it */
  od
}
