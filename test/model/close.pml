/*
 * The end of a channel on chain: settle, close by the payer after a challenge, close by the payee, close with the payee's
 * consent, and the slot opened again. The honest payee looks once a tick and a transaction of its own is in a block a tick
 * later at the latest: that is what the challenge period is taken to cover. Whoever lies sends any transaction at any moment.
 * Anybody may settle any receipt of the channel, old ones too.
 *
 * -DPAYEE_LIES: the payer is honest, the payee not. Otherwise the payee is honest, and the payer need not be.
 */
#ifndef DEPOSIT
#define DEPOSIT 3
#endif
#ifdef FAULT_SHORT_CHALLENGE
#define CHALLENGE 2
#else
#define CHALLENGE 3
#endif
#define EVENT d_step

/* On chain. */
bool open = true, closing;
byte settled, timer;
/* Nobody's: what the channel paid out, to each. */
short toPayee, toPayer;
/* The newest receipt: as the payer signed it, and as it is held by the payee; and the newest of the generation before, which anybody may still have. */
byte given, held, old;
/* The payee: saw that the channel closes; its settlement that is not in a block, and for how many ticks. */
bool seen, sending;
byte sent, age;

inline settle(amount) {
#ifdef FAULT_TAKES_LESS
  if
  :: amount != settled ->
    toPayee = toPayee + (amount > settled -> amount - settled : 0);
    settled = amount
  :: else
  fi;
#else
  if
  :: amount > settled ->
    toPayee = toPayee + amount - settled;
    settled = amount
  :: else
  fi;
#endif
  assert(toPayee <= DEPOSIT)
}

inline finish() {
#ifdef FAULT_RETURNS_THE_WHOLE_DEPOSIT
  toPayer = toPayer + DEPOSIT;
#else
  toPayer = toPayer + DEPOSIT - settled;
#endif
  /* I17: a channel pays out its deposit once. */
  assert(toPayee + toPayer == DEPOSIT);
  /* I18: the payer pays no more than it signed. */
  assert(toPayee <= given);
#ifndef PAYEE_LIES
  /* I19: an honest payee is paid the newest receipt that it holds. */
  assert(toPayee == held);
#endif
  open = false; closing = false; timer = 0;
  seen = false; sending = false; sent = 0; age = 0;
  toPayee = 0; toPayer = 0;
  old = given;
  given = 0; held = 0; settled = 0
}

active proctype Payer() {
  do
  :: EVENT { open && given < DEPOSIT -> given++ }
  :: EVENT { open && !closing -> closing = true; timer = CHALLENGE } /* requestClose */
#ifdef FAULT_CLOSES_EARLY
  :: EVENT { open && closing -> finish() }
#else
  :: EVENT { open && closing && timer == 0 -> finish() } /* closeChannel */
#endif
  :: EVENT { !open -> open = true } /* the slot again, of a new generation */
  od
}

active proctype Payee() {
  do
#ifndef PAYEE_LIES
  :: EVENT { open && held < given && !seen -> held = given } /* a receipt: none once it saw the channel close */
  :: EVENT { open && !sending && held > settled -> sending = true; sent = held; age = 0 }
  :: EVENT { open && closing && !seen -> seen = true; sending = held > settled; sent = held; age = 0 }
  :: EVENT { open && sending -> settle(sent); sending = false; sent = 0; age = 0 }
#ifdef FAULT_CONSENTS_EARLY
  :: EVENT { open && closing -> finish() }
#else
  :: EVENT { open && closing && seen && settled == held -> finish() } /* its consent: at once */
#endif
#ifdef FAULT_PAYEE_CLOSES_UNSETTLED
  :: EVENT { open -> finish() }
#else
  :: EVENT { open && !sending -> settle(held); finish() } /* closes itself, with its newest receipt */
#endif
#else
  :: EVENT { open -> held = given; finish() } /* with no receipt, or an old one: its own loss */
#endif
  od
}

/* Whoever kept a receipt. */
active proctype Anybody() {
  byte n;
  do
  :: atomic { open ->
      n = 0;
      do
      :: n < given -> n++
      :: break
      od;
      d_step {
#ifndef PAYEE_LIES
        /* The payee is paid by what it did not get yet, which is no loss to it. */
        held = (n > held -> n : held);
#endif
        settle(n);
        n = 0
      }
    }
  :: EVENT { open && old > 0 ->
#ifdef FAULT_IGNORES_GENERATIONS
      settle(old)
#else
      old = 0
#endif
    }
  od
}

active proctype Clock() {
  do
  :: EVENT { closing && timer > 0 &&
#ifndef PAYEE_LIES
      /* Within each tick an honest payee looks, and within the next its transaction is in a block. */
      (timer == CHALLENGE || seen) && (!sending || age == 0) &&
#endif
      true ->
      timer--;
      age = (sending -> 1 : 0)
    }
  od
}
