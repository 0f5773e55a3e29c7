/* request.h — requests to the server of a web storage, and what its refusals mean. */
#ifndef SHOAL_STORAGE_WEB_REQUEST_H
#define SHOAL_STORAGE_WEB_REQUEST_H

#include "storage/web/web.h"

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

#endif
