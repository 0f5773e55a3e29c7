/* A listing is a row of ranges. The first one's pages are given out; those ahead begin where
 * s3_guess says that keys will be, and keep what comes until it is their turn. A range ends where
 * the next one begins, so that each key is given out once, wherever the guesses fell.
 */
#include "storage/s3/pages.h"
#include "storage/s3/request.h"

#include "common/clock.h"
#include "common/memory.h"
#include "storage/s3/guess.h"

#include <string.h>
#include <sys/queue.h>

enum
{
  TURN_MS = 1000,
  AHEAD_MAX = 8,  /* ranges */
  STRIDE = 4,     /* pages from one range's begin to the next one's, and kept of each */
  KNOWN = 6,      /* pages that tell how quick a server is: its first ones may be slower */
  QUICK_MS = 20,  /* a page that comes so soon is not worth a second range */
  LOOKED_AT = 16, /* pages after which it is known whether ranges pay … */
  REST = 16, /* … and pages without more of them if they don't: four times as many each time */
  EMPTY_MAX = 1000, /* pages in a row without a key; some servers give one where much was removed */
  TRUST = 4, /* pages that came as expected, for each range ahead: little is asked for in vain */
};

struct key_range
{
  TAILQ_ENTRY (key_range) links;
  struct s3_pages *pages;
  char *start; /* its keys are behind this; NULL: behind nothing */
  char *token; /* of the next page; NULL: of the first */
  struct s3_page kept[STRIDE];
  int first, count; /* of those */
  int came;         /* pages */
  int empty;        /* of those, the last ones */
  bool asked;       /* CALL is under way */
  int64_t asked_at; /* boot ms */
  bool over;        /* nothing is left to be asked for */
  bool dropped;     /* it is only waited for CALL */
  struct error err; /* what its last page was instead */
  struct http_call call;
};

TAILQ_HEAD (ranges, key_range);

struct s3_pages
{
  struct s3 *s3;
  struct http *http;
  char *prefix;
  bool shallow;
  struct ranges ranges;
  struct ranges dropped;
  struct s3_page page;  /* that was given out */
  int trusted;          /* pages */
  bool end_is_near;     /* one of the ranges reaches it */
  int went_on;          /* pages that weren't a range's first */
  int64_t quickest_ms;  /* that one of them took */
  int looked_at;        /* pages given out with ranges ahead … */
  int64_t looked_since; /* … after this, boot ms */
  int rest, resting;    /* pages: the next rest's, and what is left of this one */
};

/* ---- ranges ----------------------------------------------------------------------------- */

static void
free_range (struct key_range *range)
{
  for (int i = 0; i < STRIDE; i++)
    s3_page_release (&range->kept[i]);
  if (range->asked)
    http_call_release (&range->call);
  free (range->start);
  free (range->token);
  free (range);
}

static void
s3_pages_drop_range (struct key_range *range)
{
  TAILQ_REMOVE (&range->pages->ranges, range, links);
  if (!range->asked)
    {
      free_range (range);
      return;
    }
  range->dropped = true;
  TAILQ_INSERT_TAIL (&range->pages->dropped, range, links);
}

static struct s3_page *
kept_last (struct key_range *range)
{
  return range->count == 0 ? NULL : &range->kept[(range->first + range->count - 1) % STRIDE];
}

static const char *
last_key (const struct s3_page *page)
{
  return page->objects[page->count - 1].key;
}

/* What came for RANGE reaches into those behind it. After several pages that is its end; where it
 * is the first one, these were too close. */
static void
meet_next (struct key_range *range, const char *last)
{
  struct key_range *next = NULL;
  while ((next = TAILQ_NEXT (range, links)) != NULL && strcmp (last, next->start) > 0)
    {
      if (range->came > 1)
        {
          range->over = true;
          return;
        }
      range->pages->trusted = 0;
      s3_pages_drop_range (next);
    }
}

/* There are no keys behind RANGE's. */
static void
end_behind (struct key_range *range)
{
  struct key_range *next = NULL;
  range->over = true;
  range->pages->end_is_near = true;
  while ((next = TAILQ_NEXT (range, links)) != NULL)
    s3_pages_drop_range (next);
}

/* Some servers look at all names of a folder to begin in its middle, MinIO even to its end when
 * nobody waits any more. So ranges go on ahead only where pages come quicker than they would one
 * behind the other. */
static void
s3_pages_measure (struct s3_pages *pages)
{
  int64_t now = clock_boot_ms ();
  bool ahead = TAILQ_NEXT (TAILQ_FIRST (&pages->ranges), links) != NULL;
  if (!ahead && pages->resting > 0)
    pages->resting--;
  if (ahead && pages->looked_at++ < LOOKED_AT)
    return;
  if (ahead && pages->resting == 0 && now - pages->looked_since > LOOKED_AT * pages->quickest_ms)
    {
      pages->resting = pages->rest;
      pages->rest *= 4;
    }
  pages->looked_at = 0;
  pages->looked_since = now;
}

static void
key_range_note_time (struct key_range *range)
{
  struct s3_pages *pages = range->pages;
  int64_t ms = clock_boot_ms () - range->asked_at;
  if (range->came > 0 && (pages->went_on++ == 0 || ms < pages->quickest_ms))
    pages->quickest_ms = ms;
}

/* ---- asking ----------------------------------------------------------------------------- */

static void s3_pages_request (struct key_range *range);

static int
s3_pages_read (struct key_range *range, const struct error *failed)
{
  struct error *err = &range->err;
  struct s3_page *page = &range->kept[(range->first + range->count) % STRIDE];
  if (!error_is_set (failed))
    return s3_page_read (page, &range->call, err);
  *err = *failed;
  if (range->call.status >= 300)
    s3_explain (range->pages->s3, &range->call, err);
  else if (range->call.status == 0)
    {
      auto_free char *shown = http_url_shown (range->call.url);
      (void) error_wrap (err, "%s", shown);
    }
  return -1;
}

/* A server that never comes to a key must come to an end. */
static int
check_progress (struct key_range *range, const struct s3_page *page, struct error *err)
{
  range->empty = page->count > 0 ? 0 : range->empty + 1;
  if (range->empty > 0 && page->token != NULL && range->token != NULL
      && strcmp (page->token, range->token) == 0)
    return error_set (err, ERROR_TRANSIENT, "invalid listing: repeated continuation token %.200s",
                      page->token);
  if (range->empty > EMPTY_MAX)
    return error_set (err, ERROR_TRANSIENT, "invalid listing: more than %d pages without a key",
                      (int) EMPTY_MAX);
  return 0;
}

static int
arrive (struct http_call *call, struct error *err)
{
  struct key_range *range = call->context;
  if (range->dropped)
    {
      TAILQ_REMOVE (&range->pages->dropped, range, links);
      free_range (range);
      return 0;
    }
  int result = s3_pages_read (range, err);
  if (result == 0)
    result =
        check_progress (range, &range->kept[(range->first + range->count) % STRIDE], &range->err);
  range->asked = false;
  http_call_release (&range->call);
  range->over = result != 0;
  if (result != 0)
    return 0;
  key_range_note_time (range);
  range->count++;
  range->came++;
  struct s3_page *page = kept_last (range);
  free (range->token);
  range->token = take (&page->token);
  if (page->count > 0)
    meet_next (range, last_key (page));
  if (range->token == NULL && !range->over)
    end_behind (range);
  s3_pages_request (range);
  return 0;
}

/* Asks for RANGE's next page, if there is one and room for it. */
static void
s3_pages_request (struct key_range *range)
{
  struct s3_pages *pages = range->pages;
  int room = range == TAILQ_FIRST (&pages->ranges) ? 1 : STRIDE;
  if (range->asked || range->over || range->count >= room)
    return;
  s3_page_request (pages->s3, &range->call, pages->prefix, range->start, range->token,
                   pages->shallow);
  range->call.context = range;
  range->call.done = arrive;
  range->asked = true;
  range->asked_at = clock_boot_ms ();
  http_start (pages->http, &range->call);
}

/* Takes START. */
static void
add_range (struct s3_pages *pages, char *start)
{
  struct key_range *range = xcalloc (1, sizeof *range);
  range->pages = pages;
  range->start = start;
  TAILQ_INSERT_TAIL (&pages->ranges, range, links);
  s3_pages_request (range);
}

/* One range more ahead, when pages have come as they were expected for long enough. */
static void
s3_pages_widen (struct s3_pages *pages)
{
  struct key_range *range = NULL;
  int ahead = -1;
  TAILQ_FOREACH (range, &pages->ranges, links)
    ahead++;
  if (pages->shallow || pages->end_is_near || pages->went_on < KNOWN
      || pages->quickest_ms < QUICK_MS || pages->resting > 0 || ahead >= AHEAD_MAX
      || ahead >= pages->trusted / TRUST)
    return;
  struct key_range *last = TAILQ_LAST (&pages->ranges, ranges);
  const struct s3_page *kept = kept_last (last);
  const char *base = kept != NULL && kept->count > 0 ? last_key (kept)
                     : ahead > 0                     ? last->start
                                                     : last_key (&pages->page);
  int stride = ahead > 0 && last->came < STRIDE ? STRIDE - last->came : ahead > 0 ? 1 : STRIDE;
  char *start = s3_guess (&pages->page, base, stride);
  if (start != NULL)
    add_range (pages, start);
}

/* ---- giving out ------------------------------------------------------------------------- */

/* Moves RANGE's next page to where it is given out, without what is of the next range. */
static void
give_out (struct s3_pages *pages, struct key_range *range)
{
  const struct key_range *next = TAILQ_NEXT (range, links);
  s3_page_release (&pages->page);
  pages->page = range->kept[range->first];
  range->kept[range->first] = (struct s3_page){ 0 };
  range->first = (range->first + 1) % STRIDE;
  range->count--;
  while (next != NULL && pages->page.count > 0 && strcmp (last_key (&pages->page), next->start) > 0)
    pages->page.count--;
  pages->trusted++;
  s3_pages_measure (pages);
  s3_pages_request (range);
}

int
s3_pages_next (struct s3_pages *pages, const struct s3_page **page, struct error *err)
{
  for (;;)
    {
      struct key_range *range = TAILQ_FIRST (&pages->ranges);
      if (range->count > 0)
        {
          give_out (pages, range);
          if (pages->page.count == 0)
            continue;
          s3_pages_widen (pages);
          *page = &pages->page;
          return http_turn (pages->http, 0, err) != 0 ? -1 : 1;
        }
      if (error_is_set (&range->err))
        {
          if (err != NULL)
            *err = range->err;
          return -1;
        }
      if (!range->over)
        {
          if (http_turn (pages->http, TURN_MS, err) != 0)
            return -1;
          continue;
        }
      if (TAILQ_NEXT (range, links) == NULL)
        return 0;
      s3_pages_drop_range (range);
      s3_pages_request (TAILQ_FIRST (&pages->ranges));
    }
}

void
s3_pages_jump (struct s3_pages *pages, const char *start)
{
  struct key_range *range = TAILQ_FIRST (&pages->ranges);
  if (range->over && range->count == 0 && TAILQ_NEXT (range, links) == NULL
      && !error_is_set (&range->err))
    return;
  while ((range = TAILQ_FIRST (&pages->ranges)) != NULL)
    s3_pages_drop_range (range);
  pages->trusted = 0;
  pages->end_is_near = false;
  add_range (pages, xstrdup (start));
}

/* ---- life ------------------------------------------------------------------------------- */

struct s3_pages *
s3_pages_new (struct s3 *s3, const char *prefix, bool shallow)
{
  const struct http_options options = { .connections = AHEAD_MAX + 1, .halt = s3->base.halt };
  struct s3_pages *pages = xcalloc (1, sizeof *pages);
  pages->s3 = s3;
  pages->http = http_new (&options);
  pages->prefix = xstrdup (prefix);
  pages->shallow = shallow;
  pages->rest = REST;
  TAILQ_INIT (&pages->ranges);
  TAILQ_INIT (&pages->dropped);
  add_range (pages, NULL);
  return pages;
}

static void
free_ranges (struct ranges *ranges)
{
  struct key_range *range = NULL;
  while ((range = TAILQ_FIRST (ranges)) != NULL)
    {
      TAILQ_REMOVE (ranges, range, links);
      free_range (range);
    }
}

void
s3_pages_free (struct s3_pages *pages)
{
  if (pages == NULL)
    return;
  http_free (pages->http);
  free_ranges (&pages->ranges);
  free_ranges (&pages->dropped);
  s3_page_release (&pages->page);
  free (pages->prefix);
  free (pages);
}
