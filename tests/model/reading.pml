/* Who reads what (docs/claims.md, "Who reads what"): is every open message found by a worker with a
 * free slot, whoever dies, comes late, or runs something that never ends?
 *
 * Abstracted: a partition has one reader by rank instead of two, a worker has one slot, and claims
 * are simply obeyed (claims.pml is about those). What a dead worker held is open again after a
 * lease. The brokers say of a partition whether it has more than is committed, which is true of
 * what runs as well: so a look may find nothing.
 *
 * MUTANT 1: nobody steals. 2: the members that a worker sees never change, and nobody steals.
 * 3: a fruitless look isn't remembered. 4: it is remembered for ever. 5: what is held doesn't keep
 * its partition open. VIEWS: the members that a worker sees never change, and differ.
 */
#ifndef MUTANT
#define MUTANT 0
#endif
#ifndef VIEWS
#define VIEWS (MUTANT == 2)
#endif
#ifndef DEATHS
#define DEATHS 1
#endif
#ifndef RETRIES
#define RETRIES 0
#endif
#ifndef WATCHED
#define WATCHED 0
#endif
#define WORKERS 3
#define PARTITIONS 2
#define STEALS (MUTANT != 1 && MUTANT != 2)
#define AT(w, x) ((w) * 3 + (x))

byte unclaimed[PARTITIONS]; /* messages */
byte running[PARTITIONS];   /* of living workers */
byte orphaned[PARTITIONS];  /* of dead ones: their leases run */
bool alive[WORKERS];
bool gone[WORKERS];
byte hold[WORKERS]; /* partition + 1; 0: the slot is free */
bool endless[WORKERS];
bool reads[9];
bool barren[9];
bool known[WORKERS]; /* as members, to all who look */
bool sees[9]; /* VIEWS: a worker sees another as a member */
byte deaths = DEATHS;
byte retries = RETRIES;

/* Whether W is the first of those it sees, by a rank that differs by partition. */
#define BEFORE(w, v, p) (((v) + (p)) % 3 < ((w) + (p)) % 3)
#define SEES(w, v) (VIEWS -> sees[AT (w, v)] : known[v])
#define BEATEN(w, v, p) ((v) != (w) && SEES (w, v) && BEFORE (w, v, p))
#define MINE(w, p) (!BEATEN (w, 0, p) && !BEATEN (w, 1, p) && !BEATEN (w, 2, p))

#define HELD(w, p) (hold[w] == (p) + 1 && MUTANT != 5)
#define LOOKS_FULL(p) (unclaimed[p] + running[p] + orphaned[p] > 0)
#define HAS_WORK(w) ((reads[AT (w, 0)] && unclaimed[0] > 0) || (reads[AT (w, 1)] && unclaimed[1] > 0))
#define IS_PROMISING(w, p) (!reads[AT (w, p)] && LOOKS_FULL (p) && !barren[AT (w, p)])
#define HAS_LEFT_OUT(w) ((barren[AT (w, 0)] || barren[AT (w, 1)]) && !IS_PROMISING (w, 0) && !IS_PROMISING (w, 1))
#define IDLE(w) (alive[w] && hold[w] == 0)

inline open_own (w, p)
{
  atomic {
    alive[w] && MINE (w, p) && !reads[AT (w, p)] -> reads[AT (w, p)] = true
  }
}

inline close_foreign (w, p)
{
  atomic {
    alive[w] && reads[AT (w, p)] && !MINE (w, p) && !HELD (w, p) && unclaimed[p] == 0 ->
    reads[AT (w, p)] = false; barren[AT (w, p)] = MUTANT != 3
  }
}

inline take (w, p)
{
  atomic {
    IDLE (w) && reads[AT (w, p)] && unclaimed[p] > 0 ->
    unclaimed[p]--; running[p]++; hold[w] = p + 1;
    if
    :: endless[w] = true
    :: endless[w] = false
    fi
  }
}

inline steal (w, p)
{
  atomic {
    STEALS && IDLE (w) && !HAS_WORK (w) && IS_PROMISING (w, p) -> reads[AT (w, p)] = true
  }
}

proctype Worker (byte w)
{
  byte p;
  do
  :: open_own (w, 0)
  :: open_own (w, 1)
  :: close_foreign (w, 0)
  :: close_foreign (w, 1)
  :: take (w, 0)
  :: take (w, 1)
  :: steal (w, 0)
  :: steal (w, 1)
  :: atomic {
       alive[w] && hold[w] != 0 && !endless[w] ->
       p = hold[w] - 1;
       assert (reads[AT (w, p)]);
       running[p]--; hold[w] = 0;
       if
       :: true
       :: retries > 0 -> /* a new message: the partition's end moves */
          retries--; unclaimed[p]++;
          barren[AT (0, p)] = false; barren[AT (1, p)] = false; barren[AT (2, p)] = false
       fi;
       p = 0
     }
  :: atomic { /* a lease is longer than it takes to look at all others */
       IDLE (w) && HAS_LEFT_OUT (w) && MUTANT != 4 -> barren[AT (w, 0)] = false; barren[AT (w, 1)] = false
     }
  :: atomic { gone[w] -> break }
  od
}

/* At any time, or never: one dies, the third one comes. */
active proctype Fate ()
{
  byte w;
  do
  :: atomic {
       deaths > 0 ->
       if
       :: alive[0] -> w = 0
       :: alive[1] -> w = 1
       :: alive[2] -> w = 2
       fi;
       deaths--; alive[w] = false; gone[w] = true; endless[w] = false;
       reads[AT (w, 0)] = false; reads[AT (w, 1)] = false;
       if
       :: hold[w] != 0 -> running[hold[w] - 1]--; orphaned[hold[w] - 1]++; hold[w] = 0
       :: else
       fi;
       w = 0
     }
  :: atomic { !alive[2] && !gone[2] -> alive[2] = true }
  :: break
  od
}

/* Leases end, and words of members are read, each sooner or later. */
#define LEARN(v) atomic { !VIEWS && known[v] != alive[v] -> known[v] = alive[v] }
active proctype Log ()
{
  do
  :: atomic { orphaned[0] > 0 -> orphaned[0]--; unclaimed[0]++ }
  :: atomic { orphaned[1] > 0 -> orphaned[1]--; unclaimed[1]++ }
  :: LEARN (0)
  :: LEARN (1)
  :: LEARN (2)
  od
}

#define ANY(bit) if :: VIEWS -> bit = true :: bit = false fi
init
{
  atomic {
    unclaimed[0] = 2; unclaimed[1] = 1;
    alive[0] = true; alive[1] = true; known[0] = true; known[1] = true;
    alive[2] = VIEWS; /* it has come */
    ANY (sees[AT (0, 1)]);
    ANY (sees[AT (1, 2)]);
    ANY (sees[AT (2, 0)]);
    run Worker (0); run Worker (1); run Worker (2)
  }
}

#define SOMEBODY_IDLE (IDLE (0) || IDLE (1) || IDLE (2))
ltl found { []<>!(unclaimed[WATCHED] > 0 && SOMEBODY_IDLE) }
