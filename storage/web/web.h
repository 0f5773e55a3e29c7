/* web.h — files behind http and https as a storage: what its parts share. */
#ifndef SHOAL_STORAGE_WEB_WEB_H
#define SHOAL_STORAGE_WEB_WEB_H

#include "common/http/http.h"
#include "storage/storage_ops.h"
#include "storage/web/url.h"
#include "storage/web/urls.h"

enum web_kind
{
  WEB_FOLDER,  /* the URL ends in "/": listings */
  WEB_LIST,    /* a document that lists URLs */
  WEB_FILE,    /* one file */
  WEB_UNKNOWN, /* one file or a list: its media type tells */
};

struct web
{
  struct storage base;
  struct url url;
  char *shown; /* the URL without secrets */
  char *file;  /* name of the one file; NULL: it can't be one */
  enum web_kind kind;
  int home; /* atomic: 1 + the address_class of the URL's server; 0: not asked for yet */
};

/* Makes CALL a GET of URL (clean of user information), with what its server must know of us. */
void web_call_init (const struct web *web, struct http_call *call, const char *url);

/* Gives CALL the user information that URL has of its own, instead of ours. */
void web_authorize (struct http_call *call, const struct url *url);

/* URL of PATH below the folder; the caller frees. */
char *web_url (const struct web *web, const char *path, bool folder);

/* ERR of a refusal, with what to do. */
void web_explain (void *context, const struct http_call *call, struct error *err);

/* Whether TYPE is a media type of lists. */
bool web_is_list_type (const char *type);

/* ---- list.c */
int web_list (struct storage *storage, const struct storage_visitor *visitor, struct error *err);

/* ---- peek.c — what a file is, without its bytes */
struct web_peek
{
  int64_t size;     /* -1: not told */
  int64_t modified; /* seconds, -1: not told */
  char *version;    /* NULL: none is told */
  char *type;       /* media type, NULL */
};

int web_look (const struct web *web, struct http *http, const char *url, struct web_peek *peek,
              struct error *err);
/* The same for all of URLS that are WANTED and whose size isn't told: fills size, and version where
 * there is none. */
int web_look_all (const struct web *web, struct urls *urls,
                  bool (*wanted) (void *context, const char *path), void *context,
                  struct error *err);
/* ERROR_USER when SIZE, which is needed, isn't told (-1). */
int web_need_size (int64_t size, struct error *err);

void web_peek_release (struct web_peek *peek);
#define auto_web_peek AUTO (web_peek_release)

#endif
