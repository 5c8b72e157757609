/*
 * An honest payee against a payer that may do anything at all: any message of the alphabet at any moment, any receipt that its
 * delegate can sign, vanishing, coming back as a stranger on another channel. What is under way on the link needs no queue
 * here: a liar that sends at any moment, and not at all, does everything that a queue could.
 *
 * A unit is what one frame costs. Nothing has a limit but the windows: links, deaths, channels.
 */
#ifndef FULL
#define FULL 12 /* the widest window */
#endif
#define SHARE 4
#define LEAST 4
#define UPWARD 3 /* frames that the payee grants upwards: as many may be held */

/* The link carries circuits. */
bool open;
/* Counted since the accepted receipt, each way; accepted and not synced; counted and not done. */
byte gotUp, sentDown, accepted, held;
/* The window, and how much of it is good: a receipt at resume widens it, and is good once it is synced. */
byte window, good;
/* On disk: what this wallet burned less its arrears; and by what it grows with the next sync. */
byte room, restored;
/* Burned on chain, and not seen by the payee: it looks when it is told to, and whenever it likes. */
byte ahead;
/* No frame came yet on this link: a receipt may still resume. */
bool resuming;
/* Nobody's: what was burned less all that was ever served and not paid by a synced receipt. */
short left;

#define counted (gotUp + sentDown)
#define LEAST_OF(a, b) ((a) < (b) -> (a) : (b))
#define EVENT d_step
#ifdef FAULT_OPENS_BEFORE_SYNC
#define unsynced counted
#else
#define unsynced (counted + accepted)
#endif

inline served(frames) {
  left = left - (frames);
  /* I1: all that a wallet ever takes from a payee and does not pay is at most what it burned for it. */
  assert(left >= 0);
  /* I2: on one link it is at most the window. */
  assert(left + good >= room)
}

/* The link ends. All that was counted and not signed for becomes arrears, on disk. */
inline end() {
  left = LEAST_OF(left + accepted, FULL);
  room = room + restored;
#ifndef FAULT_FORGIVES_ARREARS
  room = (room > counted -> room - counted : 0);
#endif
  gone()
}

/* What the chain shows, whatever the payer says of it. */
inline look() {
  room = room + ahead;
  left = LEAST_OF(left + ahead, FULL);
  ahead = 0
}

/* What was burned since the link began widens the window once it carries something; what is not synced yet is no good of it. */
inline widen() {
  window = room + restored;
  good = room
}

inline gone() {
  gotUp = 0; sentDown = 0; accepted = 0; held = 0; restored = 0;
  window = 0; good = 0;
  open = false; resuming = false
}

inline release() {
  if
  :: held > 0 && unsynced <= window -> served(held); held = 0
  :: else
  fi
}

active proctype Payee() {
  do
  :: EVENT { open && accepted > 0 -> /* the disk has it */
      left = LEAST_OF(left + accepted, FULL + held);
      room = room + restored;
      good = good + restored;
      accepted = 0; restored = 0;
      release()
    }
  :: EVENT { open && !resuming && held == 0 && unsynced < window -> /* the payer granted it */
      sentDown++;
      served(1)
    }
  :: EVENT { open -> /* killed: I7: it loses what was unsigned, at most the window */
      assert(left + good >= room);
      left = (left < room -> room : left);
      gone()
    }
  od
}

active proctype LyingPayer() {
  byte n;
  do
  :: EVENT { room + restored + ahead < FULL -> ahead++ } /* burns, on chain, and says so or not */
  :: EVENT { open && ahead > 0 ->
      look();
      if
      :: !resuming -> widen(); release()
      :: else
      fi
    }
#ifdef FAULT_WIDENS_BY_WORD
  :: EVENT { open && !resuming -> window = FULL; good = FULL } /* says that it burned more */
#endif
  :: EVENT { !open && room + ahead >= LEAST ->
      look();
      open = true; resuming = true;
      window = room; good = room
    }
  :: EVENT { open -> end() }
#ifdef FAULT_FORGETS_ARREARS_WITH_THE_CHANNEL
  :: EVENT { !open -> room = FULL }
#endif
  :: EVENT { open -> /* sends a frame */
      if
      :: resuming -> resuming = false; widen()
      :: else
      fi;
      gotUp++;
      if
      :: SHARE * gotUp > window || held == UPWARD -> end() /* cut, or more than was granted */
#ifdef FAULT_FORWARDS_WHILE_THE_WINDOW_IS_FULL
      :: else -> served(1)
#else
      :: else ->
        if
        :: unsynced <= window && held == 0 -> served(1)
        :: else -> held++
        fi
#endif
      fi
    }
  :: atomic { open && !resuming && gotUp + sentDown > 0 -> /* signs: what the payee counted up, and any point down */
      n = 0;
      do
      :: n < sentDown -> n++
      :: break
      od;
      d_step {
        accepted = accepted + gotUp + n;
        gotUp = 0;
        sentDown = sentDown - n;
        n = 0
      }
    }
  :: atomic { open && resuming -> /* presents a receipt that the payee never saw */
      n = 1;
      do
      :: n < 2 * FULL -> n++
      :: break
      od;
      d_step {
        resuming = false;
        accepted = n;
        restored = LEAST_OF(n, FULL - room - ahead);
        widen();
#ifdef FAULT_RESTORES_BEFORE_SYNC
        room = room + restored; restored = 0;
#endif
        n = 0
      }
    }
  :: EVENT { open -> /* any other receipt: METER_DISAGREEMENT, RECEIPT_INVALID, RECEIPT_NOT_NEWER: nothing changes */
#ifdef FAULT_TAKES_ANY_RECEIPT
      gotUp = 0; sentDown = 0; accepted = 0
#else
      end()
#endif
    }
  od
}
