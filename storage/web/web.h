/* web.h — files behind http and https as a storage: what its parts share. */
#ifndef SHOAL_STORAGE_WEB_WEB_H
#define SHOAL_STORAGE_WEB_WEB_H

#include "common/http/http.h"
#include "storage/listing.h"
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

/* ---- list.c */
int web_list (struct storage *storage, const struct storage_visitor *visitor, struct error *err);

#endif
