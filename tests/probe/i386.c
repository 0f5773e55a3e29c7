/* A 32-bit program without a library: says that it runs, and what comes of socket(2) by the call
 * and by socketcall(2). */

static int
call (int number, int a, int b, int c)
{
  int outcome;
  __asm__ volatile("int $0x80" : "=a"(outcome) : "0"(number), "b"(a), "c"(b), "d"(c) : "memory");
  return outcome;
}

static void
say (const char *text, int size)
{
  (void) call (4, 1, (int) text, size);
}

void _start (void);

void
_start (void)
{
  static const long unix_stream[] = { 1, 1, 0 };
  say ("runs\n", 5);
  if (call (359, 1, 1, 0) >= 0)
    say ("socket\n", 7);
  if (call (102, 1, (int) unix_stream, 0) == -1)
    say ("no socketcall\n", 14);
  (void) call (1, 0, 0, 0);
  for (;;)
    ;
}
