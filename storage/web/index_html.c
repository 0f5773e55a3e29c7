/* Listings in HTML: whatever a page links to that is a child of its folder. */
#include "common/memory.h"
#include "storage/web/index_internal.h"
#include "storage/web/link.h"
#include "storage/web/url.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum
{
  TITLE_WITHIN = 4096, /* bytes of a page in which its title is looked for */
  ROW_WITHIN = 8192,   /* bytes beside a link that are its row */
  EXAMPLE_MAX = 200,   /* bytes of a link that is shown */
  BARE_MAX = 512,      /* bytes of a page that is nothing but a listing's frame */
};

struct html
{
  struct index *index;
  struct link_base base;
  const char *end;
  const char *row; /* where the row of the next link begins */
  int64_t links;   /* of any kind */
  bool script;     /* the page has one */
};

static bool
html_begins (const char *text, const char *with)
{
  return strncasecmp (text, with, strlen (with)) == 0;
}

/* ---- titles ----------------------------------------------------------------------------- */

/* The page's title, NULL. The caller frees. */
static char *
html_title (struct bytes page)
{
  auto_free char *start = xstrndup (page.data, page.size < TITLE_WITHIN ? page.size : TITLE_WITHIN);
  const char *title = strcasestr (start, "<title>");
  const char *end = title == NULL ? NULL : strcasestr (title, "</title>");
  if (end == NULL)
    return NULL;
  title += strlen ("<title>");
  while (title < end && isspace ((unsigned char) *title))
    title++;
  auto_buffer struct buffer text = { 0 };
  markup_put_text (&text, title, (size_t) (end - title));
  return buffer_take (&text);
}

/* Whether TITLE is one of a listing of FOLDER, a URL's path. */
static bool
html_is_title (const char *title, const char *folder)
{
  static const char *const titles[] = { "Index of ", "Directory listing ",
                                        "Directory: ", "Files within ", "listing directory " };
  for (size_t i = 0; i < sizeof titles / sizeof *titles; i++)
    if (html_begins (title, titles[i]))
      return true;
  /* The folder's own name: Caddy's, rclone's, webfsd's. */
  auto_free char *path = url_decode (folder, strlen (folder) - 1);
  const char *name = path == NULL ? NULL : strrchr (path, '/');
  size_t size = strlen (title);
  size -= size > 0 && title[size - 1] == '/';
  size_t length = name == NULL ? 0 : strlen (name + 1);
  return length > 0 && size >= length && memcmp (title + size - length, name + 1, length) == 0
         && (size == length || title[size - length - 1] == '/');
}

/* ---- links ------------------------------------------------------------------------------ */

static void
html_leave_over (struct html *html, const struct buffer *link)
{
  struct index *index = html->index;
  index->elsewhere++;
  if (index->example == NULL)
    index->example = xstrndup (link->data, link->size < EXAMPLE_MAX ? link->size : EXAMPLE_MAX);
}

/* Where the row that a link ends in, behind CLOSE, ends itself. */
static const char *
html_row_end (const struct html *html, const char *close)
{
  const char *end = html->end - close > ROW_WITHIN ? close + ROW_WITHIN : html->end;
  for (const char *at = close; (at = memchr (at, '<', (size_t) (end - at))) != NULL; at++)
    if (markup_is_tag (at, html->end, "a") || markup_is_tag (at, html->end, "/tr")
        || markup_is_tag (at, html->end, "/li") || markup_is_tag (at, html->end, "hr")
        || markup_is_tag (at, html->end, "/pre"))
      return at;
  return end;
}

/* The link of the tag from AT to CLOSE. */
static void
html_read_link (struct html *html, const char *at, const char *close)
{
  auto_buffer struct buffer text = { 0 };
  struct link link = { 0 };
  if (!markup_attribute (at, close, "href", &text))
    return;
  html->links++;
  switch (link_read (&html->base, text.data, text.size, &link))
    {
    case LINK_HARMLESS:
      /* A folder that is linked with its "/": this server tells them from files. */
      if (text.size > 1 && text.data[text.size - 1] == '/' && strchr (text.data, ':') == NULL)
        html->index->tells_folders = true;
      return;
    case LINK_ELSEWHERE:
      html_leave_over (html, &text);
      return;
    case LINK_CHILD:
      break;
    }
  struct index_entry entry = { .name = link.name, .folder = link.folder };
  if (link.folder)
    html->index->tells_folders = true;
  const char *end = html_row_end (html, close);
  const char *shut = memmem (close, (size_t) (end - close), "</a>", 4);
  const char *after = shut == NULL ? end : shut + 4;
  const char *before = at - html->row > ROW_WITHIN ? at - ROW_WITHIN : html->row;
  row_read (&entry, (struct bytes){ before, (size_t) (at - before) },
            (struct bytes){ after, (size_t) (end - after) });
  index_add (html->index, entry);
}

/* Behind the comment, script or style that begins at AT; NULL: none does. */
static const char *
html_skip (struct html *html, const char *at)
{
  static const char *const ends[][2] = { { "script", "</script" }, { "style", "</style" } };
  size_t left = (size_t) (html->end - at);
  if (left > 4 && memcmp (at, "<!--", 4) == 0)
    {
      const char *stop = memmem (at + 4, left - 4, "-->", 3);
      return stop == NULL ? at + 4 : stop;
    }
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
    {
      if (!markup_is_tag (at, html->end, ends[i][0]))
        continue;
      const char *stop = memmem (at, left, ends[i][1], strlen (ends[i][1]));
      html->script |= i == 0;
      return stop == NULL ? html->end : stop;
    }
  return NULL;
}

static void
html_read_tags (struct html *html, const char *start)
{
  html->row = start;
  for (const char *at = start; at != NULL && at < html->end;
       at = memchr (at, '<', (size_t) (html->end - at)))
    {
      const char *skipped = *at == '<' ? html_skip (html, at) : NULL;
      const char *close = NULL;
      if (skipped != NULL)
        {
          at = skipped == at ? at + 1 : skipped;
          continue;
        }
      if (markup_is_tag (at, html->end, "a") && (close = markup_tag_end (at, html->end)) != NULL)
        html_read_link (html, at, close);
      else if (markup_is_tag (at, html->end, "base")
               && (close = markup_tag_end (at, html->end)) != NULL)
        {
          auto_buffer struct buffer text = { 0 };
          if (markup_attribute (at, close, "href", &text))
            link_base_move (&html->base, text.data, text.size);
        }
      if (close != NULL || markup_is_tag (at, html->end, "tr"))
        html->row = at;
      at = close == NULL ? at + 1 : close;
    }
}

/* ---- the page --------------------------------------------------------------------------- */

/* A page that names no child: an empty folder's, or none of a folder at all? */
static int
html_judge_empty (const struct html *html, struct bytes page, struct error *err)
{
  const struct index *index = html->index;
  if (index->elsewhere > 0)
    return error_set (err, ERROR_USER,
                      "the page is not a directory listing: none of its %lld links leads to a file "
                      "or folder in it, but to others, as '%s' does",
                      (long long) html->links, index->example);
  bool bare = html->links == 0 && page.size < BARE_MAX
              && memmem (page.data, page.size, "<title", 6) == NULL
              && memmem (page.data, page.size, "<pre>", 5) != NULL; /* Go's */
  bool drawn = html->links == 0 && html->script;
  if ((index->titled || bare) && !drawn)
    return 0;
  return error_set (err, ERROR_USER,
                    "the page is not a directory listing: it links to no file or folder in it%s",
                    drawn ? " (a script draws it; a list of URLs may serve instead)" : "");
}

int
index_read_html (struct index *index, const char *url, struct bytes page, struct error *err)
{
  struct html html = { .index = index, .end = (const char *) page.data + page.size };
  int result = 0;
  if (!link_base_open (&html.base, url))
    result = error_set (err, ERROR_USER, "its URL can't be read");
  else if (page.size == 0)
    result = error_set (err, ERROR_USER, "the page is empty, not a directory listing");
  else
    {
      auto_free char *title = html_title (page);
      index->titled = title != NULL && html_is_title (title, html.base.folder);
      html_read_tags (&html, page.data);
      if (index->count == 0)
        result = html_judge_empty (&html, page, err);
    }
  link_base_release (&html.base);
  return result;
}
