/* The claims protocol (docs/claims.md) for spin: WORKERS workers, one shard of two attempts, messages that may be there twice, a log that is late.
 *
 * Any process may be arbitrarily slow, which is what a pause or a cut is. Workers crash CRASHES times at any step, and come back as
 * another writer; what they had sent arrives later, or never. The fold is that of bus/kafka/claims.c, for readers who began at the beginning. A mutant (-DMUTANT=N) breaks one
 * rule, and must be found.
 */
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef CRASHES
#define CRASHES 2
#endif
#ifndef RENEWALS
#define RENEWALS 1
#endif
#ifndef RELEASES
#define RELEASES 1  /* shards given back by a drain, in all */
#endif
#ifndef DOUBLES
#define DOUBLES 1   /* messages that are published again, in all: by a producer that died, or by who does an end over */
#endif
#ifndef MUTANT
#define MUTANT 0
#endif
#ifndef TICKS
#define TICKS 4     /* of the log's clock, in all */
#endif
#define LEASE 1     /* ticks */
#define NOBODY 255

/* mutants */
#define COUNTS_THOUGH_HELD (MUTANT == 1)     /* a claim counts although another's lease runs */
#define STARTS_UNREAD (MUTANT == 2)          /* a worker starts before it has read that its claim counted */
#define STARTS_LATE (MUTANT == 3)            /* … or long after */
#define PUBLISHES_UNDECIDED (MUTANT == 4)    /* a worker publishes an end before it has read that it counted */
#define RETRY_WITH_EVENT (MUTANT == 5)       /* the retry doesn't wait for the event */
#define COMMITS_SETTLING (MUTANT == 6)       /* an offset is committed over what is only decided */
#define NO_REDO (MUTANT == 7)                /* nobody publishes for the dead */
#define DONE_FIRST (MUTANT == 8)             /* DONE is said before the brokers have acknowledged the event */
#define RELEASES_RUNNING (MUTANT == 9)       /* a shard is given back while its container runs */
#define CLAIMS_OFFSETS (MUTANT == 10)        /* a claim is on a message's offset, not on the attempt it is of */
#define RENEWS_FREE (MUTANT == 11)           /* a renewal counts on what another one had taken over and gave back */
#define MESSAGES (2 + DOUBLES)

mtype = { FREE, HELD, SETTLING, DONE };      /* phases of a key */
mtype = { CLAIM, RENEW, RELEASE, SETTLE, FINISH }; /* kinds of records; FINISH is the one that says DONE */

typedef key_state {
  mtype phase = FREE;
  byte holder = NOBODY;
  byte count;    /* of starts */
  byte left;     /* ticks of the lease */
  byte end;      /* SETTLING: the start whose end was decided */
  bool follows;  /* … and whether another attempt does */
}
#if MUTANT == 10
#define KEYS 3 /* of messages */
#else
#define KEYS 2 /* of attempts */
#endif
key_state key[KEYS];
byte message[MESSAGES]; /* the log of messages: which attempt each is of */
byte messages;          /* how many there are */
byte committed;         /* the offset: messages below it are not looked at any more */
byte ticks = TICKS;

byte published[2]; /* events in their log: 0 none, else the starts of the attempt + 1 */

/* A record on its way: key, kind, writer, starts, event, retry. One producer's records stay in order. */
chan sent[WORKERS] = [2] of { byte, mtype, byte, byte, byte, bool };
bool answered[WORKERS]; /* the last record of the living writer is in the log */
bool counted[WORKERS];
byte told_end[WORKERS];    /* of a SETTLE that counted: what is to be published */
bool told_follows[WORKERS];
byte valid[WORKERS]; /* ticks left of its last claim that counted */
bool running[WORKERS];
byte lost[WORKERS];  /* keys, as bits, that others took over while its container ran */
byte life[WORKERS];
byte crashes;
byte releases;
byte doubles;
bool has_retry;

#define writer(w) (w * (CRASHES + 1) + life[w])
#define key_of(o) (CLAIMS_OFFSETS -> o : message[o])
#define is_claimable(k) (key[k].phase == FREE || (key[k].phase == HELD && expired (k)))
#define is_redoable(k) (key[k].phase == SETTLING && expired (k) && !NO_REDO)
#define expired(k) (key[k].left == 0)

/* A renewal of what was given back is of somebody who had lost it before. */
#define is_late (kind == RENEW && starts <= key[k].count && !RENEWS_FREE)

/* Worker X's container runs on, until it hears that another one took over. */
#define note_loss(x) lost[x] = lost[x] | ((running[x] && key[k].holder == writer (x) -> 1 : 0) << k)

/* CLAIM and RENEW. */
inline apply_claim (k, by, starts, least) {
  if
  :: key[k].phase == FREE && is_late -> ok = false
  :: key[k].phase == FREE && !is_late ->
       key[k].phase = HELD; key[k].holder = by;
       key[k].count = (starts > least -> starts : least);
       ok = true
  :: key[k].phase != FREE && key[k].phase != DONE && key[k].holder == by -> ok = true
  :: key[k].phase == HELD && key[k].holder != by &&
         ((expired (k) && starts >= least) || COUNTS_THOUGH_HELD) ->
       note_loss (0);
       note_loss (1);
#if WORKERS > 2
       note_loss (2);
#endif
       key[k].holder = by;
       key[k].count = (starts > least -> starts : least);
       ok = true
  :: else -> ok = false
  fi;
  if
  :: ok -> key[k].left = LEASE
  :: else
  fi
}

inline apply_settle (k, by, starts, what, again) {
  if
  :: key[k].phase == DONE -> ok = false
  :: key[k].phase == SETTLING && key[k].holder != by && expired (k) -> ok = true /* his words stay */
  :: (key[k].phase == FREE || key[k].phase == HELD) && (key[k].holder == by || key[k].phase == FREE || expired (k)) ->
       key[k].end = what; key[k].follows = again; ok = true
  :: else -> ok = false
  fi;
  if
  :: ok -> key[k].phase = SETTLING; key[k].holder = by; key[k].left = LEASE
  :: else
  fi
}

inline append (w) {
  sent[w] ? k, kind, by, starts, what, again;
  ok = false;
  if
  :: kind == CLAIM -> apply_claim (k, by, starts, key[k].count + 1)
  :: kind == RENEW -> apply_claim (k, by, starts, key[k].count);
       /* Who lost it kills his container, and mustn't get it back: he would have to give back a start that happened. */
       assert (!ok || by != writer (w) || !(lost[w] & (1 << k)))
  :: kind == RELEASE ->
       if
       :: key[k].phase == HELD && key[k].holder == by ->
            key[k].phase = FREE; key[k].holder = NOBODY; key[k].left = 0; key[k].count--
       :: else
       fi
  :: kind == SETTLE -> apply_settle (k, by, starts, what, again)
  :: kind == FINISH -> key[k].phase = DONE; key[k].holder = NOBODY; key[k].left = 0; key[k].count = 0; key[k].end = 0
  fi;
  if
  :: by == writer (w) && kind != FINISH && kind != RELEASE -> answered[w] = true; counted[w] = ok
  :: else
  fi;
  if
  :: by == writer (w) && (kind == CLAIM || kind == RENEW) && ok -> valid[w] = key[k].left
  :: else
  fi;
  if
  :: by == writer (w) && kind == SETTLE && ok -> told_end[w] = key[k].end; told_follows[w] = key[k].follows
  :: else
  fi;
  k = 0; by = 0; starts = 0; what = 0; again = false; ok = false; kind = CLAIM
}

/* The broker: takes one producer's next record into the log. */
proctype log () {
  byte k; mtype kind = CLAIM; byte by; byte starts; byte what; bool again; bool ok;
end:
  do
  :: atomic { nempty (sent[0]) -> append (0) }
  :: atomic { nempty (sent[1]) -> append (1) }
#if WORKERS > 2
  :: atomic { nempty (sent[2]) -> append (2) }
#endif
  od
}

/* The log's clock, moved by ticks while somebody waits for a lease. */
inline tick_worker (w) {
  valid[w] = (valid[w] > 0 -> valid[w] - 1 : 0)
}

inline tick_key (k) {
  key[k].left = (key[k].left > 0 -> key[k].left - 1 : 0)
}

proctype time () {
end:
  do
  :: atomic {
       ticks > 0 && (key[0].left > 0 || key[1].left > 0 || key[KEYS - 1].left > 0) ->
       ticks--;
       tick_key (0);
       tick_key (1);
#if KEYS > 2
       tick_key (2);
#endif
       tick_worker (0);
       tick_worker (1)
#if WORKERS > 2
       ; tick_worker (2)
#endif
     }
  od
}

inline send (k, kind, starts, what, again) {
  atomic { answered[w] = false; sent[w] ! k, kind, writer (w), starts, what, again }
}

/* Two distinct ends of one attempt, or the second attempt's before the first's, must not be in the log of events. */
inline publish_event (k, what) {
  atomic {
    assert (published[k] == 0 || published[k] == what + 1);
    assert (k == 0 || published[0] != 0);
    published[k] = what + 1
  }
}

/* To the partition of the message itself. Whoever does an end over says it again. */
inline publish_retry () {
  if
  :: messages < MESSAGES -> message[messages] = 1; messages++
  :: else -> assert (published[1] != 0 || has_retry) /* the model's log is full: it stands there already */
  fi;
  has_retry = true
}

/* A shard whose claim lives is started by nobody else. */
inline check_starts () {
  do
  :: v < WORKERS ->
       assert (v == w || !running[v] || valid[v] == 0);
       v++
  :: else -> break
  od;
  v = 0
}

/* The message at offset I, when it may be claimed, or its end done over. */
#define LOOK(i) i >= committed && i < messages && (is_claimable (key_of (i)) || is_redoable (key_of (i))) -> \
       o = i; k = key_of (i); \
       if \
       :: is_claimable (k) -> starts = key[k].count + 1; goto claim \
       :: else -> redo = true; goto settle \
       fi

/* A crash may come before any step. */
#define MAY_CRASH :: atomic { crashes < CRASHES -> crashes++; goto crashed }

proctype worker (byte w) {
  byte o; byte k; byte starts; byte what; bool again; byte renewals; bool redo; byte v;

idle:
  atomic { o = 0; k = 0; starts = 0; what = 0; again = false; renewals = 0; redo = false; lost[w] = 0 }
end_idle:
  do
  /* commit what is settled */
  :: atomic { committed < messages &&
         (key[key_of (committed)].phase == DONE || (COMMITS_SETTLING && key[key_of (committed)].phase == SETTLING)) -> committed++ }
  /* choose: what is free, or whose holder fell silent; what is read now may be old when the record arrives */
  :: atomic { LOOK (0) }
  :: atomic { LOOK (1) }
#if (2 + DOUBLES) > 2
  :: atomic { LOOK (2) }
#endif
#if (2 + DOUBLES) > 3
  :: atomic { LOOK (3) }
#endif
  MAY_CRASH
  od;

claim:
  if
  :: send (k, CLAIM, starts, 0, false)
  MAY_CRASH
  fi;
  if
  :: atomic { (answered[w] || STARTS_UNREAD) ->
       if
       :: counted[w] || STARTS_UNREAD -> skip
       :: else -> goto idle /* a loser writes nothing more */
       fi }
  MAY_CRASH
  fi;

  /* Only while the lease surely runs: a claim that was long on its way is renewed first. Looking and starting are one step: who stands still
   * between them is beyond any log. */
start:
  if
  :: atomic { valid[w] > 0 || STARTS_LATE || STARTS_UNREAD ->
       running[w] = true;
       lost[w] = lost[w] & ~(1 << k);
       check_starts ();
       starts = key[k].count
     }
  :: atomic { valid[w] == 0 && !STARTS_LATE && !STARTS_UNREAD -> goto idle }
  MAY_CRASH
  fi;
  do
  :: atomic { renewals < RENEWALS -> renewals++ };
     send (k, RENEW, starts, 0, false);
     if
     :: atomic { answered[w] ->
          if
          :: counted[w] -> skip
          :: else -> running[w] = false; goto idle /* lost: its container is killed */
          fi }
     MAY_CRASH
     fi
  :: atomic { releases < RELEASES -> releases++; running[w] = RELEASES_RUNNING };
     send (k, RELEASE, 0, 0, false);
     goto idle
  :: break
  MAY_CRASH
  od;
  what = starts;
  if
  :: message[o] == 0 -> again = true
  :: again = false
  fi;

settle:
  if
  :: send (k, SETTLE, starts, what, again)
  MAY_CRASH
  fi;
  if
  :: atomic { answered[w] || PUBLISHES_UNDECIDED ->
       running[w] = false;
       if
       :: PUBLISHES_UNDECIDED && !redo -> skip
       :: counted[w] && !(PUBLISHES_UNDECIDED && !redo) -> what = told_end[w]; again = told_follows[w]; told_end[w] = 0; told_follows[w] = false
       :: else -> goto idle
       fi }
  MAY_CRASH
  fi;

  /* Decided: the event, then the retry, then DONE. */
  if
  :: RETRY_WITH_EVENT && again -> publish_retry ()
  :: DONE_FIRST -> send (k, FINISH, 0, 0, false)
  :: !(RETRY_WITH_EVENT && again) && !DONE_FIRST -> skip
  fi;
  if
  :: publish_event (message[o], what)
  MAY_CRASH
  fi;
  if
  :: atomic { again -> publish_retry () }
  :: !again
  MAY_CRASH
  fi;
  if
  :: send (k, FINISH, 0, 0, false)
  MAY_CRASH
  fi;
  goto idle;

crashed:
  atomic {
    running[w] = false;
    lost[w] = 0;
    valid[w] = 0;
    answered[w] = false;
    counted[w] = false;
    told_end[w] = 0;
    told_follows[w] = false;
    life[w]++
  };
  /* what was on its way arrives, or the last of it doesn't */
  do
  :: atomic { nempty (sent[w]) -> sent[w] ? _, _, _, _, _, _ }
  :: break
  od;
  goto idle;
}

/* Who published the shard died before he could say so; another one publishes it again. */
proctype producer () {
end:
  do
  :: atomic { doubles < DOUBLES && messages < MESSAGES - (has_retry -> 0 : 1) -> doubles++; message[messages] = 0; messages++ }
  od
}

init {
  byte i = 0;
  atomic {
    messages = 1;
    run log ();
    run producer ();
    run time ();
    do
    :: i < WORKERS -> run worker (i); i++
    :: else -> break
    od
  };
  /* When nothing moves any more, everything has come to its end. */
  timeout ->
    if
    :: ticks > 0 ->
         assert (published[0] != 0 && key[0].phase == DONE);
         assert (committed == messages);
         assert (!key[0].follows || (has_retry && published[1] != 0))
    :: else /* the time of the model is over */
    fi
}
