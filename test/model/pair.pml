/*
 * An honest payer and an honest payee on one channel: grants, receipts, their sync, lost links, deaths, resume.
 *
 * A unit is what one frame costs. What is signed and counted is kept as a difference from the receipt before it, so the
 * states are finitely many while links, deaths and traffic have no limit. Messages are under way in two ordered queues; a
 * lost link takes everything in them.
 *
 * -DWIDENS: less was burned at first, and the payer burns more at any moment. The payee looks at the chain when it is told to, and
 * whenever it likes; what is said of it may be lost with the link. Less than a frame's worth is not burned again without it.
 * -DACCIDENTS=n allows at most n lost links: then deadlocks and livelocks can be seen. Without it there is no limit.
 * -DTRACE (with -DACCIDENTS) prints each event and the figures after it; walk.slow.test.ts does the same events in the code.
 */
#ifndef FULL
#define FULL 8 /* burned at the opening, and the widest window */
#endif
#ifndef SHARE
#define SHARE 4 /* a payer signs for a quarter of its window */
#endif
#ifndef QUEUE
#define QUEUE 2
#endif
#ifdef WIDENS
#ifndef START
#define START 4 /* burned at the opening */
#endif
#define MORE 2 /* burned at once for a wider window */
#define SIZE short
#define USABLE payerWindow >= LEAST
#else
#define START FULL
#define SIZE byte
#define USABLE true
#endif
#define LEAST 4  /* the narrowest window of which a frame costs a quarter at most */
#define STEPS 4  /* the most that is granted at once */
#define UPWARD 2 /* frames that the payee takes and may have to hold; this grant counts as if it travelled at once */
#define WANTED 2 /* frames that the payee sends for each that it got */

#ifdef TRACE
/* A walk loses a link only after so many events: at random it would do so at once. */
#ifndef CALM
#define CALM 0
#endif
int events;
/* Burned by its wallet since the event before. */
int burned;
#define BURNED(units) burned = units
#define EV(event) \
  events++; \
  printf("EV "); printf(event); \
  printf(" owed=%d granted=%d counted=%d unsynced=%d held=%d burned=%d payerWindow=%d payeeWindow=%d\n", \
    owed, granted, counted, unsynced, held, burned, payerWindow, payeeWindow); \
  burned = 0
#else
#define EV(event) MOVED(false)
#define BURNED(units) skip
#endif
#ifdef ALIVE
/* Whatever happens, frames go on being delivered. */
bool moved;
ltl alive { []<> moved }
#define MOVED(yes) moved = yes
#else
#define MOVED(yes) skip
#endif

mtype = { FRAME, RECEIPT, RESUME, GRANT, GIVEBACK, LOOK, WIDEN };
chan up = [QUEUE] of { mtype, byte, byte };
chan down = [QUEUE] of { mtype, byte };

/* The payer: frames since its newest receipt, what it granted and did not get, how much it grants at once. */
byte sentUp, gotDown, granted, step = 1;
byte payerWindow = START;
/* In receipts that are under way. */
byte flyingUp, flyingDown;
/* Frames under way upwards. */
byte flying;

/* The payee: frames since the receipt that it accepted last; what of the accepted is not synced. */
byte gotUp, sentDown, acceptedUp, acceptedDown;
byte allowed, held, wanted;
/* The window, and how much of it is good: a receipt at resume widens it, and is good once it is synced. */
byte payeeWindow = START, good = START;
/* On disk: what was burned less the arrears; and by what it grows with the next sync. */
SIZE room = START, restored;
/* Something arrived on this link. What the last link that carried anything left unpaid: as counted, in memory; in all, on disk. */
bool begun;
byte claimUp, claimDown, unpaid;
#ifdef WIDENS
/* Burned, as the payer's books have it, as the payee's have it, and on chain beyond that. The payee was told to look. */
byte opening = START, seen = START, ahead;
bool asked;
/* The payee's word for the window; and what it had on disk when the link began. */
byte stated = START;
short basis = START;
#else
#define seen FULL
#endif

/* Nobody's: what was burned less all that was ever served and not paid by a synced receipt. */
short left = START;
#ifdef ACCIDENTS
byte accidents = ACCIDENTS;
#endif

#define owed (sentUp + gotDown)
#define counted (gotUp + sentDown)
#ifdef FAULT_OPENS_BEFORE_SYNC
#define unsynced counted
#else
#define unsynced (counted + acceptedUp + acceptedDown)
#endif
#define LEAST_OF(a, b) ((a) < (b) -> (a) : (b))
#define POSITIVE(a) ((a) > 0 -> (a) : 0)
#define FREE(frames) (len(up) + (frames) <= QUEUE)
/* Atomic and without choice. */
#define EVENT d_step

inline served(frames) {
  left = left - (frames);
  /* I1: all that is ever served and unpaid is at most what was burned. */
  assert(left >= 0);
  /* I2: on one link it is at most the window. */
  assert(left + good >= room)
}

inline sign() {
  up ! RECEIPT(sentUp, gotDown);
  flyingUp = flyingUp + sentUp;
  flyingDown = flyingDown + gotDown;
  sentUp = 0;
  gotDown = 0
}

#ifdef WIDENS
/* The payer may owe what the payee said, as far as it knows that it burned it. */
inline follow() {
#ifdef FAULT_WIDENS_BY_ITSELF
  stated = opening;
#endif
  if
  :: LEAST_OF(stated, opening) > payerWindow -> payerWindow = LEAST_OF(stated, opening)
  :: else
  fi
}

/* The payee lets the payer owe what was burned, and says so; not before it knows what a receipt at resume makes good. */
#ifdef FAULT_WIDENS_BEFORE_RESUME
#define WIDER (room + restored > payeeWindow)
#else
#define WIDER (begun && room + restored > payeeWindow)
#endif
inline widen() {
  if
  :: WIDER ->
    good = good + room + restored - payeeWindow;
    payeeWindow = room + restored;
    down ! WIDEN(payeeWindow);
    release()
  :: else
  fi
}

/* What the chain shows. */
inline read() {
  seen = seen + ahead;
  room = room + ahead;
  left = left + ahead;
  ahead = 0
}

/* Before the first frame it looked in vain. */
#ifdef FAULT_LOOKS_IN_VAIN
#define WIDEN_LATE skip
#else
#define WIDEN_LATE widen()
#endif
#define CAN_WIDEN (nfull(down) || begun || room == basis)
#else
#define WIDEN_LATE skip
#define CAN_WIDEN true
#endif

inline release() {
  if
  :: held > 0 && unsynced <= payeeWindow ->
    served(held);
    held = 0;
    wanted = WANTED
  :: else
  fi
}

active proctype Payer() {
  byte n;
  do
  :: EVENT { FREE(2) && USABLE && owed + granted < payerWindow && flying + held < UPWARD ->
      if
#ifdef FAULT_SIGNS_LATE
      :: owed + 1 > payerWindow -> sign()
#else
      :: SHARE * (owed + 1) > payerWindow && owed > 0 -> sign()
#endif
      :: else
      fi;
      up ! FRAME(0, 0);
      flying++;
      sentUp++;
      /* I3: what is owed and what is granted are within the window. */
      assert(owed + granted <= payerWindow);
      EV("sendUp")
    }
#ifdef FAULT_GRANTS_MORE_THAN_IT_MAY_OWE
  :: EVENT { FREE(1) && USABLE && granted < step ->
      n = step - granted;
#else
  :: EVENT { FREE(1) && USABLE && granted < step && owed + granted < payerWindow ->
      n = LEAST_OF(step - granted, payerWindow - owed - granted);
#endif
      up ! GRANT(n, 0);
      granted = granted + n;
      n = 0;
      assert(owed + granted <= payerWindow);
      EV("grant")
    }
  :: EVENT { FREE(1) && down ? [FRAME, 0] ->
      down ? FRAME(0);
      /* I4: nothing comes that was not granted. */
      assert(granted > 0);
      granted--;
      gotDown++;
      step = LEAST_OF(2 * step, STEPS);
      if
      :: SHARE * owed > payerWindow -> sign()
      :: else
      fi;
      EV("receiveDown")
    }
  :: EVENT { down ? [GIVEBACK, _] ->
      down ? GIVEBACK(n);
      assert(n <= granted);
      granted = granted - n;
      step = 1;
      n = 0;
      EV("takeBack")
    }
  :: EVENT { FREE(1) && owed > 0 -> sign(); EV("flush") }
#ifdef WIDENS
  :: EVENT { seen + ahead == opening && opening + MORE <= FULL -> /* burned, and its own books do not know it yet */
      ahead = ahead + MORE;
      EV("burn")
    }
  :: EVENT { FREE(1) && seen + ahead > opening ->
      opening = seen + ahead;
      up ! LOOK(0, 0);
#ifndef FAULT_FORGETS_WHAT_WAS_STATED
      follow();
#endif
      EV("tell")
    }
  :: EVENT { down ? [WIDEN, _] ->
      down ? WIDEN(n);
      stated = (n > stated -> n : stated);
      follow();
#ifdef FAULT_FORGETS_WHAT_WAS_STATED
      stated = payerWindow;
#endif
      n = 0;
      EV("takeWindow")
    }
#endif
  od
}

inline begin() {
  begun = true;
  claimUp = 0;
  claimDown = 0
}

active proctype Payee() {
  byte n, m;
  do
  :: EVENT { up ? [FRAME, _, _] && CAN_WIDEN ->
      up ? FRAME(_, _);
      flying--;
      begin();
      WIDEN_LATE;
      /* Not paid by now: it stays in the arrears, and cannot be made good any more. */
      unpaid = (restored > 0 -> unpaid : 0);
      gotUp++;
      /* I5: an honest payer is never cut. */
      assert(SHARE * gotUp <= payeeWindow);
#ifdef WIDENS
      /* I23: the payee's idea of the window is never the smaller one. */
      assert(payerWindow <= payeeWindow);
#endif
      if
      :: unsynced <= payeeWindow && held == 0 ->
        served(1);
        wanted = WANTED
      :: else ->
        held++;
        assert(held <= UPWARD)
      fi;
      EV("receiveUp");
      MOVED(true)
    }
  :: EVENT { up ? [RECEIPT, _, _] ->
      up ? RECEIPT(n, m);
      flyingUp = flyingUp - n;
      flyingDown = flyingDown - m;
      /* I6: honest ends agree on every receipt. */
      assert(n == gotUp && m <= sentDown);
      gotUp = 0;
      sentDown = sentDown - m;
      acceptedUp = acceptedUp + n;
      acceptedDown = acceptedDown + m;
      n = 0; m = 0;
      EV("receiveReceipt")
    }
  :: EVENT { up ? [RESUME, _, _] && CAN_WIDEN ->
      up ? RESUME(n, m);
      flyingUp = flyingUp - n;
      flyingDown = flyingDown - m;
      assert(counted == 0);
      acceptedUp = n;
      acceptedDown = m;
      restored = LEAST_OF(LEAST_OF(n + m, unpaid), seen - room);
      begin();
#ifdef WIDENS
      payeeWindow = POSITIVE(basis + restored);
#else
      payeeWindow = room + restored;
#endif
#ifdef FAULT_RESTORES_BEFORE_SYNC
      room = room + restored;
      restored = 0;
#endif
      /* I22: both ends reckon the same window, whatever link brought the receipt. */
#ifdef WIDENS
      assert(LEAST_OF(payeeWindow, opening) == payerWindow);
      WIDEN_LATE;
#else
      assert(payeeWindow == payerWindow);
#endif
      n = 0; m = 0;
      EV("receiveReceipt")
    }
  :: EVENT { up ? [GRANT, _, _] ->
      up ? GRANT(n, _);
      allowed = allowed + n;
      n = 0;
      EV("receiveGrant")
    }
  :: EVENT { acceptedUp + acceptedDown > 0 -> /* the disk has it */
      /* What is held may be paid for already. */
      left = LEAST_OF(left + acceptedUp + acceptedDown, seen + held);
      room = room + restored;
      good = good + restored;
      unpaid = (restored > 0 -> 0 : unpaid);
      restored = 0;
      acceptedUp = 0;
      acceptedDown = 0;
      release();
      EV("sync")
    }
#ifdef FAULT_SENDS_WITHOUT_GRANT
  :: EVENT { nfull(down) && wanted > 0 && held == 0 && unsynced < payeeWindow ->
#else
  :: EVENT { nfull(down) && wanted > 0 && allowed > 0 && held == 0 && unsynced < payeeWindow ->
#endif
      down ! FRAME(0);
      allowed = (allowed > 0 -> allowed - 1 : 0);
      wanted--;
      sentDown++;
      served(1);
      EV("sendDown");
      MOVED(true)
    }
#ifndef FAULT_KEEPS_GRANTS
  :: EVENT { nfull(down) && wanted == 0 && allowed > 1 ->
      down ! GIVEBACK(allowed - 1);
      allowed = 1;
      EV("giveBack")
    }
#endif
#ifdef WIDENS
  :: EVENT { up ? [LOOK, _, _] -> up ? LOOK(_, _); asked = true; EV("receiveLook") }
  :: EVENT { (asked || ahead > 0) && nfull(down) ->
      asked = false;
      read();
      widen();
      EV("look")
    }
#ifndef TRACE
  :: EVENT { begun && empty(up) && empty(down) && !asked && seen == opening && ahead == 0 ->
      /* I24: once nothing is under way, all that was burned and is not owed is in both windows. */
      assert(payerWindow == payeeWindow && payeeWindow == POSITIVE(room + restored))
    }
#endif
#endif
  od
}

byte paysUp, paysDown, exposed;

/* The link is gone; both ends resume from the figures of one receipt. */
inline lose(payerDies, payerForgets, payeeDies) {
  exposed = payerWindow;
  /* The payee ends its side and says what it counted. */
  if
  :: payeeDies ->
    /* I7: a payee that is killed loses what was unsigned: at most the window. It knows of no more than its arrears. */
    assert(left + good >= room);
    flyingUp = flyingUp + acceptedUp;
    flyingDown = flyingDown + acceptedDown;
    claimUp = 0; claimDown = 0;
    left = (left < room -> room : left)
  :: !payeeDies && !begun -> /* nothing changed: it claims what it claimed before */
    skip
  :: else ->
    claimUp = gotUp; claimDown = sentDown; unpaid = counted;
    left = LEAST_OF(left + acceptedUp + acceptedDown, seen);
    room = room + restored;
#ifdef WIDENS
    room = room - counted
#else
#ifndef FAULT_FORGIVES_ARREARS
    room = (room > counted -> room - counted : 0)
#endif
#endif
  fi;
  /* The payer begins at the newer receipt of the two, and signs for what it knows that it owes beyond. */
  if
  :: payerForgets -> flyingUp = 0; flyingDown = 0; exposed = 0
  :: else
  fi;
  paysUp = flyingUp;
  paysDown = flyingDown;
  if
  :: !payerDies && claimUp >= flyingUp && claimUp <= flyingUp + sentUp ->
    paysUp = claimUp;
#ifdef FAULT_PAYS_WHAT_IS_CLAIMED
    paysDown = (claimDown > flyingDown + gotDown -> claimDown : flyingDown + gotDown);
#else
    paysDown = flyingDown + gotDown;
#endif
    /* I8: the payer signs for no more than it sent and got. */
    assert(paysUp <= flyingUp + sentUp && paysDown <= flyingDown + gotDown)
  :: payerDies && claimUp >= flyingUp && claimDown >= flyingDown ->
    /* On trust, after its own death: no more than it may have owed. */
    paysUp = flyingUp + LEAST_OF(unpaid - flyingUp - flyingDown, exposed)
  :: else
  fi;
  /* Of what was lost again and again no more matters than fills a window: the states stay finite. */
  paysUp = LEAST_OF(paysUp, FULL + UPWARD);
  paysDown = LEAST_OF(paysDown, FULL + UPWARD);
  do /* empties the queues */
  :: up ? [FRAME, _, _] -> up ? FRAME(_, _)
  :: up ? [GRANT, _, _] -> up ? GRANT(_, _)
  :: up ? [RECEIPT, _, _] -> up ? RECEIPT(_, _)
  :: up ? [RESUME, _, _] -> up ? RESUME(_, _)
#ifdef WIDENS
  :: up ? [LOOK, _, _] -> up ? LOOK(_, _)
#endif
  :: empty(up) -> break
  od;
  do
  :: down ? [FRAME, _] -> down ? FRAME(_)
  :: down ? [GIVEBACK, _] -> down ? GIVEBACK(_)
#ifdef WIDENS
  :: down ? [WIDEN, _] -> down ? WIDEN(_)
#endif
  :: empty(down) -> break
  od;
  sentUp = 0; gotDown = 0; granted = 0; step = 1; flying = 0;
  gotUp = 0; sentDown = 0; acceptedUp = 0; acceptedDown = 0;
  allowed = 0; held = 0; wanted = 0;
  flyingUp = paysUp; flyingDown = paysDown;
#ifdef WIDENS
  /* The payee looks at the channel that is presented. */
  read();
  asked = false;
  basis = room;
  stated = LEAST_OF(POSITIVE(room + LEAST_OF(paysUp + paysDown, unpaid)), seen);
  payerWindow = LEAST_OF(stated, opening);
  payeeWindow = POSITIVE(room);
#else
  /* Too narrow a window for a frame: the payer burns more. */
#ifdef FAULT_RECKONS_FROM_WHAT_IT_COUNTED
  payerWindow = LEAST_OF(room + LEAST_OF(paysUp + paysDown, claimUp + claimDown), FULL);
#else
  payerWindow = LEAST_OF(room + LEAST_OF(paysUp + paysDown, unpaid), FULL);
#endif
  if
  :: payerWindow < LEAST ->
    room = LEAST_OF(room + LEAST, FULL);
    left = LEAST_OF(left + LEAST, FULL);
    payerWindow = LEAST_OF(payerWindow + LEAST, FULL);
    BURNED(LEAST)
  :: else
  fi;
  payeeWindow = room;
#endif
  good = payeeWindow; restored = 0;
  begun = false;
  if
  :: paysUp + paysDown > 0 -> up ! RESUME(paysUp, paysDown)
  :: else
  fi;
  paysUp = 0; paysDown = 0; exposed = 0
}

#ifdef TRACE
#define ACCIDENT EVENT { accidents > 0 && events >= CALM -> accidents--; events = 0;
#else
#ifdef ACCIDENTS
#define ACCIDENT EVENT { accidents > 0 -> accidents--;
#else
#define ACCIDENT EVENT { true ->
#endif
#endif

active proctype Accidents() {
end:
  do
  :: ACCIDENT lose(false, false, false); EV("lose") }
  :: ACCIDENT lose(true, false, false); EV("payerDies") }
  :: ACCIDENT lose(true, true, false); EV("payerForgets") }
  :: ACCIDENT lose(false, false, true); EV("payeeDies") }
  :: ACCIDENT lose(true, false, true); EV("bothDie") }
  :: ACCIDENT lose(true, true, true); EV("bothForget") }
  od
}
