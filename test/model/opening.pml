/*
 * What a payer may have a relay burn (ADR 27): three times what it burned itself, and what the relay kept of its circuits beyond what that
 * payer may leave unpaid. The payer and the next hop are accomplices: two EXTENDs at a time, receipts late or never, links that
 * are lost, new channels, and a next hop that closes the channel to it again and again. Openings fail, and it is certain or not
 * that nothing was burned; the books reach the disk late; the relay dies.
 */
#define BURNED 4 /* what the payer burned for its channel: its window */
#define COST 5 /* an opening payment of the relay's, and the fee */
#define ALLOWANCE (3 * BURNED)
#define BOUND (BURNED + ALLOWANCE)
/* Gains beyond it are not told apart: an opening that is booked may be made good before it is burned. */
#define MOST (BOUND + BURNED + COST)
#define EXTENDS 2
#define EVENT d_step

#ifdef FAULT_COUNTS_WHAT_IS_NOT_PAID
#define HELD_BACK 0
#else
#define HELD_BACK BURNED
#endif

mtype = { NONE, BOOKED, WRITTEN };
mtype step[EXTENDS] = NONE;
/* The relay's channel to the next hop, on chain and as its books have it. */
bool channel;
bool known;
/* What was burned for the payer, in memory and on disk. */
byte advanced;
byte onDisk;
/* What was kept of its circuits and may be on paper only. */
byte kept;
/* What it owes on this link, and what it left unpaid before. */
byte owed;
byte arrears;
/* Nobody's: what the relay kept of what was paid, less what was served and not paid and what was burned. BOUND is nothing. */
byte position = BOUND;

inline loses(amount) {
  /* I20: a relay never loses more to a payer than its window and three times what it burned. */
  assert(position >= amount);
  position = position - (amount)
}

inline gains(amount) {
  position = (position + amount < MOST -> position + amount : MOST)
}

inline recoup(amount) {
  advanced = (advanced > amount -> advanced - amount : 0)
}

inline opens(e) {
  channel = true;
  known = true;
  step[e] = NONE
}

inline extend(e) {
  atomic { step[e] == NONE && !channel && advanced + COST <= ALLOWANCE ->
#ifndef FAULT_BOOKS_WHEN_IT_IS_OPEN
    advanced = advanced + COST;
#endif
    step[e] = BOOKED
  }
}

#ifdef FAULT_OPENS_BEFORE_SYNC
#define MAY_OPEN(e) (step[e] != NONE)
#else
#define MAY_OPEN(e) (step[e] == WRITTEN)
#endif

inline open(e) {
  atomic { MAY_OPEN(e) ->
    if
    :: channel -> recoup(COST); step[e] = NONE /* another one opened it */
    :: !channel ->
      loses(COST);
#ifdef FAULT_BOOKS_WHEN_IT_IS_OPEN
      advanced = advanced + COST;
#endif
      opens(e)
    :: !channel -> recoup(COST); step[e] = NONE /* nothing was burned, that is certain */
    :: !channel -> /* no answer: it was burned, or not */
      if
      :: loses(COST)
      :: skip
      fi;
#ifdef FAULT_GIVES_BACK_WHEN_UNSURE
      recoup(COST);
#endif
      step[e] = NONE
    fi
  }
}

inline forget(e) {
  step[e] = NONE
}

inline leave() {
  arrears = arrears + owed;
  owed = 0
}

active proctype Payer() {
  do
  /* A frame: half of what it costs is paid onward. */
  :: EVENT { channel && owed + 2 <= BURNED - arrears ->
      owed = owed + 2;
      loses(2);
      kept = kept + 1;
      if
      :: kept > HELD_BACK -> kept = HELD_BACK; recoup(1)
      :: else
      fi
    }
  :: EVENT { owed > 0 -> gains(owed + owed / 2); owed = 0 } /* a receipt */
  :: EVENT { arrears > 0 -> arrears = arrears - 2; gains(3) } /* made good at resume */
  :: EVENT { owed > 0 -> leave() } /* the link is gone */
  :: EVENT { true -> /* a new channel, for which as much is burned */
      leave();
      kept = 0
#ifdef FAULT_FORGETS_WITH_THE_CHANNEL
      ; advanced = 0
#endif
    }
  od
}

active proctype Relay() {
  do
  :: extend(0)
  :: extend(1)
#ifdef FAULT_BELIEVES_THE_BOOKS
  :: atomic { known && !channel && step[0] == NONE -> loses(COST); opens(0) }
#endif
  :: open(0)
  :: open(1)
  :: EVENT { onDisk != advanced || step[0] == BOOKED || step[1] == BOOKED ->
      onDisk = advanced;
      step[0] = (step[0] == BOOKED -> WRITTEN : step[0]);
      step[1] = (step[1] == BOOKED -> WRITTEN : step[1])
    }
  :: EVENT { true -> /* killed: what was owed and not signed for is I7's */
      gains(owed);
      owed = 0;
      kept = 0;
      advanced = onDisk;
      forget(0);
      forget(1)
    }
  od
}

active proctype NextHop() {
  do
  :: EVENT { channel -> channel = false } /* closes the channel that was opened to it */
  :: EVENT { known && !channel -> known = false } /* the relay hears of it */
  od
}
