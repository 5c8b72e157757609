/*
 * An honest relay between a payer and a next hop that are accomplices and may do anything at all. Two circuits of the payer
 * lead to the next hop. The relay pays the next hop for all that it forwards to it and for all that comes back within its
 * grants, at once and for good; what the payer pays it counts when it is synced. It is a host as well: it serves the payer
 * content of its own. The onward price is the payer's own: the worst that EXTEND may ask for. A unit is what one frame costs. Links, circuits, deaths and channels have no limit.
 */
#ifndef FULL
#define FULL 6
#endif
#define SHARE 4
#define LEAST 4
#define UPWARD 2
#define CIRCUITS 2

bool open;
/* What the payer owes: since the accepted receipt, each way; accepted and not synced; counted and not forwarded. */
byte gotUp, sentDown, accepted, held;
byte window, good, room, restored;
bool resuming;
/* For each circuit: what the relay grants onward; what came of it and was not passed on. The payer grants without end. */
byte granted[CIRCUITS], queued[CIRCUITS];
bool closing[CIRCUITS];
/* Granted onward for circuits whose payer is gone. */
byte stale;
/* Nobody's: what the payer burned less all that the relay paid onward for it and was not paid for. */
short left;

#define counted (gotUp + sentDown)
#define unsynced (counted + accepted)
#define grantedAll (granted[0] + granted[1])
#define onward (grantedAll + queued[0] + queued[1])
#define LEAST_OF(a, b) ((a) < (b) -> (a) : (b))
#define EVENT d_step

inline paid(frames) {
  left = left - (frames);
  /* I11: what a relay pays onward for a payer and is never paid for is at most what that payer burned. */
  assert(left >= 0);
  /* I12: on one link it is at most the window. */
  assert(left + good >= room)
}

inline end() {
  left = LEAST_OF(left + accepted, FULL);
  room = room + restored;
#ifdef FAULT_FORGETS_WHAT_IS_GRANTED
  room = (room > counted + queued[0] + queued[1] -> room - counted - queued[0] - queued[1] : 0);
#else
  room = (room > counted + onward -> room - counted - onward : 0);
#endif
  stale = stale + grantedAll;
  gone()
}

inline gone() {
  gotUp = 0; sentDown = 0; accepted = 0; held = 0; restored = 0;
  window = 0; good = 0; open = false; resuming = false;
  granted[0] = 0; queued[0] = 0; closing[0] = false;
  granted[1] = 0; queued[1] = 0; closing[1] = false
}

#ifdef FAULT_GRANTS_ONWARD_WITHOUT_LIMIT
#define COVERED true
#else
#define COVERED (SHARE * (unsynced + onward + 1) <= (SHARE - 1) * window)
#endif

/* May what comes up go on? */
#ifdef FAULT_FORWARDS_BESIDE_ITS_GRANTS
#define FORWARDS (unsynced <= window)
#else
#define FORWARDS (unsynced + onward <= window)
#endif

/* May content of its own go down? */
#ifdef FAULT_SERVES_BESIDE_ITS_GRANTS
#define SERVES (unsynced < window)
#else
#define SERVES (unsynced + onward < window)
#endif

inline release() {
  if
  :: held > 0 && FORWARDS -> paid(held); held = 0
  :: else
  fi
}

inline relay(c) {
  if
  :: EVENT { open && !resuming && !closing[c] && COVERED -> granted[c]++ }
  :: EVENT { open && queued[c] > 0 && unsynced < window ->
      queued[c]--;
      sentDown++
    }
  :: EVENT { open && closing[c] -> /* its end, or the deadline: the link to the next hop closes, what waits is dropped */
#ifndef FAULT_FORGETS_WHAT_IT_DROPS
      room = (room > queued[c] -> room - queued[c] : 0);
      window = (window > queued[c] -> window - queued[c] : 0);
#endif
      queued[c] = 0; granted[c] = 0; closing[c] = false
    }
  fi
}

active proctype Relay() {
  do
  :: relay(0)
  :: relay(1)
  :: EVENT { open && !resuming && held == 0 && SERVES -> /* on a circuit that ends here */
      sentDown++;
      paid(1)
    }
  :: EVENT { open && accepted > 0 -> /* the disk has it */
      left = LEAST_OF(left + accepted, FULL + held);
      room = room + restored;
      good = good + restored;
      accepted = 0; restored = 0;
      release()
    }
  :: EVENT { stale > 0 -> /* the deadline: nothing more comes of what was granted for a payer that is gone */
      room = LEAST_OF(room + stale, FULL);
      stale = 0
    }
  :: EVENT { open -> /* killed: what was granted onward is lost with what was unsigned; at most the window */
      left = left - grantedAll;
      assert(left >= 0 && left + good >= room);
      left = (left < room + stale -> room + stale : left);
      gone()
    }
  od
}

inline nextHop(c) {
  if
  :: EVENT { granted[c] > 0 -> /* anything, useless or not */
      granted[c]--;
      queued[c]++;
      paid(1)
    }
  :: EVENT { open -> /* its DESTROY, or a frame beyond the grant: the circuit ends, what came is passed on */
      granted[c] = 0;
      closing[c] = true
    }
  fi
}

active proctype LyingNextHop() {
  do
  :: nextHop(0)
  :: nextHop(1)
  :: EVENT { stale > 0 -> stale--; paid(1) }
  od
}

inline payer(c) {
  EVENT { open && !closing[c] && !resuming -> closing[c] = true } /* DESTROY */
}

active proctype LyingPayer() {
  byte n;
  do
  :: payer(0)
  :: payer(1)
  :: EVENT { !open && room + stale < FULL -> /* burns, on chain */
      room++;
      left = LEAST_OF(left + 1, FULL)
    }
  :: EVENT { !open && room >= LEAST ->
      open = true; resuming = true;
      window = room; good = room
    }
  :: EVENT { open -> end() }
  :: EVENT { open && resuming -> resuming = false } /* a CREATE */
  :: EVENT { open -> /* sends a frame, on either circuit */
      resuming = false;
      gotUp++;
      if
      :: SHARE * gotUp > window || held == UPWARD -> end()
      :: else ->
        if
        :: FORWARDS && held == 0 -> paid(1)
        :: else -> held++
        fi
      fi
    }
  :: atomic { open && !resuming && counted > 0 -> /* signs: what was counted up, and any point down */
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
  :: atomic { open && resuming -> /* presents a receipt that was never seen */
      n = 1;
      do
      :: n < FULL -> n++
      :: break
      od;
      d_step {
        resuming = false;
        accepted = n;
        restored = LEAST_OF(n, FULL - room - stale);
        window = good + restored;
        n = 0
      }
    }
  od
}
