/*
 * Two neighbours net what they owe each other (ADR 15) while receipts cross, the link dies and one of them lies. The leader
 * pays the follower on account X, the follower the leader on Y. A unit is what one frame costs. On either account frames go
 * both ways; `...Down` counts, modulo 4, what came or went from payee to payer: never more than a window of it is under way.
 *
 * -DLEADER_LIES or -DFOLLOWER_LIES puts somebody in its place who sends any message at any moment.
 */
#ifndef WINDOW
#define WINDOW 2
#endif
#define QUEUE 2
/* A liar sends at any moment, and not at all: it needs no queue. */
#if defined(LEADER_LIES) || defined(FOLLOWER_LIES)
#define DEEP 1
#else
#define DEEP QUEUE
#endif
#define LEAST_OF(a, b) ((a) < (b) -> (a) : (b))
#define EVENT d_step
#define UNDER_WAY(sent, got) ((sent + 4 - got) % 4)

mtype = { UPX, DOWNX, UPY, DOWNY, RECEIPT, NET };
#ifdef LEADER_LIES
chan toFollower = [1] of { mtype, byte, byte };
#else
chan toFollower = [QUEUE] of { mtype, byte, byte };
#endif
chan toLeader = [DEEP] of { mtype, byte, byte };

/* Due and neither signed for nor netted, as each end counts it. */
short leaderX, leaderY, followerX, followerY;
/* Sent down by the payee, got by the payer. */
byte leaderXDown, followerXDown, followerYDown, leaderYDown;
/* Leader: proposed and not answered. Follower: what the leader withholds beyond the answer. */
byte proposed, withheld;
/* Under way upwards; and the answer that is under way. */
byte flyingX, flyingY, answer;
/* Receipts under way: they are presented again (pair.pml), and what was not signed by then is arrears. */
byte receiptsX, receiptsY;
/* Of this answer and proposal: what each end took off what it is owed, and off what it owes. */
short gave, got;

inline fair() {
  /* I13: no end is ever ahead of what it owes, */
  assert(leaderX >= 0 && followerY >= 0 && followerX >= 0 && leaderY >= 0);
  /* I14: or gives before it gets: what it takes off what it is owed it takes off what it owes at that moment. */
  assert(gave <= got);
  gave = 0; got = 0
}

/* I16: what a payee does on credit is within the window, whatever its payer withholds. */
#define WITHIN(due) assert(due <= WINDOW)
/* Both ends send at once, and what is beyond the window is held: nobody honest gets further than this. */
#define MOST (2 * WINDOW)

byte leaderPays, followerPays;

/* The link is gone. Each pays what arrived, less what both know as netted; the rest is arrears. */
inline lose() {
#ifndef LEADER_LIES
#ifndef FOLLOWER_LIES
  if
  :: receiptsX + receiptsY == 0 ->
#ifdef FAULT_FORGETS_THE_ANSWER
    leaderPays = leaderX - flyingX;
#else
    leaderPays = leaderX - flyingX - answer;
#endif
    /* Netted may be what was lost on its way up, as a receipt may pay for it. */
    followerPays = (followerY > flyingY -> followerY - flyingY : 0);
    /* I15: both leave the same sum out, and neither pays more than the other end counted. */
    assert(leaderX - flyingX - leaderPays == answer);
    assert(leaderPays <= followerX && followerPays <= leaderY)
  :: else
  fi;
#endif
#endif
  do
  :: toFollower ? _, _, _
  :: empty(toFollower) -> break
  od;
  do
  :: toLeader ? _, _, _
  :: empty(toLeader) -> break
  od;
  leaderX = 0; leaderY = 0; followerX = 0; followerY = 0;
  leaderXDown = 0; followerXDown = 0; followerYDown = 0; leaderYDown = 0;
  proposed = 0; withheld = 0; flyingX = 0; flyingY = 0; answer = 0; receiptsX = 0; receiptsY = 0; leaderPays = 0; followerPays = 0;
  gave = 0; got = 0
}

/* A message that cannot be. Honest ends never see one. */
inline refuse() {
#ifndef LEADER_LIES
#ifndef FOLLOWER_LIES
  assert(false);
#endif
#endif
  lose()
}

#ifndef LEADER_LIES
inline signX() {
  toFollower ! RECEIPT(leaderX - proposed, leaderXDown);
  receiptsX++;
  leaderX = proposed
}

active proctype Leader() {
  byte n, m;
  do
  :: EVENT { nfull(toFollower) && leaderX < WINDOW -> toFollower ! UPX(0, 0); leaderX++; flyingX++; fair() }
  :: EVENT { nfull(toFollower) && leaderY < WINDOW -> toFollower ! DOWNY(0, 0); leaderY++; leaderYDown = (leaderYDown + 1) % 4; WITHIN(leaderY); fair() }
  :: EVENT { nfull(toFollower) && leaderX > proposed -> signX(); fair() }
#ifdef FAULT_PROPOSES_TWICE
  :: EVENT { nfull(toFollower) && LEAST_OF(leaderX, leaderY) > 0 ->
#else
  :: EVENT { nfull(toFollower) && proposed == 0 && LEAST_OF(leaderX, leaderY) > 0 ->
#endif
      n = LEAST_OF(leaderX, leaderY);
#ifdef FAULT_COUNTS_AT_ONCE
      leaderX = leaderX - n; leaderY = leaderY - n;
      gave = n;
#endif
      proposed = n;
      toFollower ! NET(n, 0);
      n = 0;
      fair()
    }
  :: EVENT { toLeader ? [DOWNX, _, _] ->
      toLeader ? _, _, _;
      if
      :: leaderX < MOST -> leaderX++; leaderXDown = (leaderXDown + 1) % 4; fair()
      :: else -> refuse() /* never granted */
      fi
    }
  :: EVENT { toLeader ? [UPY, _, _] ->
      toLeader ? _, _, _;
      flyingY = (flyingY > 0 -> flyingY - 1 : 0);
      if
      :: leaderY < MOST -> leaderY++; fair()
      :: else -> refuse() /* cut */
      fi
    }
  :: EVENT { toLeader ? [RECEIPT, _, _] ->
      toLeader ? RECEIPT(n, m);
      receiptsY = (receiptsY > 0 -> receiptsY - 1 : 0);
      if
      :: n > 0 && n == leaderY - UNDER_WAY(leaderYDown, m) -> leaderY = leaderY - n;
        fair()
      :: else -> refuse()
      fi;
      n = 0; m = 0
    }
  :: EVENT { len(toFollower) + 2 <= QUEUE && toLeader ? [NET, _, _] ->
      toLeader ? NET(n, _);
      if
      :: proposed > 0 && n <= proposed && n <= leaderY ->
        answer = 0;
        leaderX = leaderX - n; got = n;
        leaderY = leaderY - n; gave = n;
        m = (n < proposed);
        proposed = 0;
        if
        :: m ->
          toFollower ! NET(0, 0);
          if
          :: leaderX > 0 -> signX()
          :: else
          fi
        :: else
        fi;
        fair()
      :: else -> refuse()
      fi;
      n = 0; m = 0
    }
  od
}
#else
active proctype Leader() {
  byte n, m;
  do
  :: nfull(toFollower) ->
    if
    :: toFollower ! UPX(0, 0)
    :: toFollower ! DOWNY(0, 0)
    :: atomic {
        n = 0; m = 0;
        do
        :: n <= WINDOW -> n++
        :: break
        od;
        do
        :: m <= WINDOW -> m++
        :: break
        od;
        if
        :: toFollower ! RECEIPT(n, m)
        :: toFollower ! NET(n, 0)
        fi;
        n = 0; m = 0
      }
    fi
  :: toLeader ? _, _, _
  od
}
#endif

#ifndef FOLLOWER_LIES
active proctype Follower() {
  byte n, m;
  do
  :: EVENT { nfull(toLeader) && followerY < WINDOW -> toLeader ! UPY(0, 0); followerY++; flyingY++; fair() }
#ifdef FAULT_LEAVES_OUT_WHAT_IS_WITHHELD
  :: EVENT { nfull(toLeader) && followerX - withheld < WINDOW -> toLeader ! DOWNX(0, 0); followerX++; followerXDown = (followerXDown + 1) % 4; WITHIN(followerX); fair() }
#else
  :: EVENT { nfull(toLeader) && followerX < WINDOW -> toLeader ! DOWNX(0, 0); followerX++; followerXDown = (followerXDown + 1) % 4; WITHIN(followerX); fair() }
#endif
  :: EVENT { nfull(toLeader) && followerY > 0 ->
      toLeader ! RECEIPT(followerY, followerYDown);
      receiptsY++;
      followerY = 0;
      fair()
    }
  :: EVENT { toFollower ? [DOWNY, _, _] ->
      toFollower ? _, _, _;
      if
      :: followerY < MOST -> followerY++; followerYDown = (followerYDown + 1) % 4; fair()
      :: else -> refuse() /* never granted */
      fi
    }
  :: EVENT { toFollower ? [UPX, _, _] ->
      toFollower ? _, _, _;
      flyingX = (flyingX > 0 -> flyingX - 1 : 0);
      if
      :: followerX < MOST -> followerX++; fair()
      :: else -> refuse() /* cut */
      fi
    }
  :: EVENT { toFollower ? [RECEIPT, _, _] ->
      toFollower ? RECEIPT(n, m);
      receiptsX = (receiptsX > 0 -> receiptsX - 1 : 0);
      if
      :: n > 0 && n == followerX - UNDER_WAY(followerXDown, m) - withheld -> followerX = followerX - n;
        fair()
      :: else -> refuse()
      fi;
      n = 0; m = 0
    }
  :: EVENT { nfull(toLeader) && toFollower ? [NET, _, _] ->
      toFollower ? NET(n, _);
      if
      :: withheld > 0 -> /* the correction */
        if
        :: n == 0 -> withheld = 0; fair()
        :: else -> refuse()
        fi
      :: withheld == 0 && n > 0 && n <= followerX ->
#ifdef FAULT_NETS_WHAT_IS_ASKED
        m = n;
#else
        m = LEAST_OF(n, followerY);
#endif
        followerX = followerX - m; gave = m;
        followerY = followerY - m; got = m;
        withheld = n - m;
        answer = m;
        toLeader ! NET(m, 0);
        fair()
      :: else -> refuse()
      fi;
      n = 0; m = 0
    }
  od
}
#else
active proctype Follower() {
  byte n, m;
  do
  :: nfull(toLeader) ->
    if
    :: toLeader ! UPY(0, 0)
    :: toLeader ! DOWNX(0, 0)
    :: atomic {
        n = 0; m = 0;
        do
        :: n <= WINDOW -> n++
        :: break
        od;
        do
        :: m <= WINDOW -> m++
        :: break
        od;
        if
        :: toLeader ! RECEIPT(n, m)
        :: toLeader ! NET(n, 0)
        fi;
        n = 0; m = 0
      }
    fi
  :: toFollower ? _, _, _
  od
}
#endif

active proctype Link() {
  do
  :: EVENT { true -> lose() }
  od
}
