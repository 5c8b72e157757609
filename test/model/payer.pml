/*
 * An honest payer against a payee that may do anything at all: frames without a grant, useless frames, any terms, any claim,
 * GIVEBACKs that never were, vanishing, coming back. A unit is what one frame costs.
 */
#ifndef FULL
#define FULL 8 /* the most that the payer burns */
#endif
#define SHARE 4
#define LEAST 4
#define MORE 2 /* burned at once for a wider window */
#define DEPOSIT (2 * FULL)
#define STATED (2 * FULL) /* the widest window that the liar states */

bool open;
/* A frame was spoiled: the circuit is being closed. */
bool closing;
/* Frames since the newest receipt, each way; granted and not come. */
byte sentUp, gotDown, granted;
byte window;
/* What it burned, which is the widest window that it would give itself; and the widest that the payee stated on this link. */
byte burned = LEAST, stated;
/* What the deposit still holds. */
byte deposit = DEPOSIT;
/* On disk: what may be owed beyond the newest receipt. */
byte exposed;
/* Nobody's: what was paid for on a circuit since its first useless frame. */
byte useless;

#define owed (sentUp + gotDown)
#define LEAST_OF(a, b) ((a) < (b) -> (a) : (b))
#define EVENT d_step

inline pay(amount) {
  /* I9: never more than the deposit holds: what is owed and granted was kept within it. */
  assert(deposit >= (amount));
  deposit = deposit - (amount)
}

inline sign() {
  pay(owed);
  sentUp = 0; gotDown = 0
}

inline bounded() {
  /* I3: what is owed and what is granted are within the window, the payer's own, and the deposit. */
  assert(owed + granted <= window);
  assert(window <= burned);
  assert(owed + granted <= deposit)
}

/* It may owe what the payee said, as far as it burned it itself. */
inline follow() {
#ifdef FAULT_BELIEVES_WHAT_IS_SAID
  window = stated;
#else
  window = LEAST_OF(stated, burned);
#endif
  bounded()
}

inline end() {
  /* What it knows that it owes stays known until it resumes; `exposed` says it to the disk. */
  exposed = owed;
  open = false; closing = false; granted = 0; window = 0; stated = 0; useless = 0
}

#define AFFORDABLE(frames) (owed + granted + (frames) <= window && owed + granted + (frames) <= deposit)

active proctype Payer() {
  byte n;
  do
  :: EVENT { open && !closing && AFFORDABLE(1) ->
      if
      :: SHARE * (owed + 1) > window && owed > 0 -> sign()
      :: else
      fi;
      sentUp++;
      bounded()
    }
#ifdef FAULT_GRANTS_WHILE_CLOSING
  :: EVENT { open && AFFORDABLE(1) -> granted++; bounded() }
#else
  :: EVENT { open && !closing && AFFORDABLE(1) -> granted++; bounded() }
#endif
#ifdef FAULT_GRANTS_MORE_THAN_THE_DEPOSIT
  :: EVENT { open && !closing && owed + granted < window -> granted++; bounded() }
#endif
  :: EVENT { burned < FULL -> /* on chain, with a link or without */
      burned = burned + MORE;
      if
      :: open -> follow()
      :: else
      fi
    }
  :: EVENT { open && owed > 0 -> sign() }
  :: EVENT { !open && deposit <= DEPOSIT - LEAST -> deposit = deposit + LEAST }
  :: EVENT { open && closing -> end() } /* the deadline of the peer's DESTROY */
  :: EVENT { open -> end() }
  :: EVENT { true -> /* killed */
      exposed = (open -> window : exposed);
      sentUp = 0; gotDown = 0;
      open = false; closing = false; granted = 0; window = 0; stated = 0; useless = 0
    }
  od
}

active proctype LyingPayee() {
  byte said, claim, paid;
  do
  :: EVENT { open -> /* a frame, useless or not, granted or not */
      if
#ifdef FAULT_COUNTS_WITHOUT_GRANT
      :: granted == 0 -> gotDown++; bounded()
#else
      :: granted == 0 -> end() /* not counted */
#endif
      :: else ->
        granted--;
        gotDown++;
        if
        :: closing ->
          useless++;
          /* I10: on a circuit that it gave up it pays for no more than it had granted. */
          assert(useless <= burned)
        :: else
        fi;
        if
        :: SHARE * owed > window -> sign()
        :: else
        fi
      fi
    }
  :: EVENT { open && !closing -> /* the frame before was spoiled */
      closing = true
    }
  :: EVENT { open && closing -> /* its DESTROY: another circuit takes the place */
      closing = false; useless = 0;
      granted = 0
    }
  :: EVENT { open && granted > 0 -> granted-- } /* gives back */
  :: EVENT { open -> end() } /* more than was granted given back, any other breach, or the link dies */
  :: atomic { open -> /* WIDEN: any window, whatever was burned */
      said = stated;
      do
      :: said < STATED -> said++
      :: break
      od;
      d_step { stated = said; follow(); said = 0 }
    }
  :: atomic { !open -> /* a link: any window, any claim, any older receipt */
      said = 0;
      do
      :: said < STATED -> said++
      :: break
      od;
      claim = 0;
      do
      :: claim < STATED -> claim++
      :: break
      od;
      d_step {
        /* What it pays at once beyond what it signed before. */
        if
        :: owed > 0 -> paid = LEAST_OF(owed, claim) /* it remembers: what arrived, at most what it sent and got */
#ifdef FAULT_TRUSTS_ANY_CLAIM
        :: else -> paid = LEAST_OF(claim, deposit)
#else
        :: else -> paid = LEAST_OF(claim, exposed) /* on trust */
#endif
        fi;
        paid = LEAST_OF(paid, deposit);
        /* I8: of a claim it pays what it owes or, once killed, may have owed: at most a window. */
        assert(paid <= burned);
        pay(paid);
        sentUp = 0; gotDown = 0; exposed = 0;
#ifdef FAULT_BELIEVES_THE_WINDOW
        window = said;
#else
        window = LEAST_OF(said, burned);
#endif
        open = window >= LEAST;
        window = (open -> window : 0);
        stated = (open -> said : 0);
        said = 0; claim = 0; paid = 0
      }
    }
  od
}
