/* url.h — URLs of files and folders: taken apart, made absolute, and the names in them. */
#ifndef SHOAL_STORAGE_WEB_URL_H
#define SHOAL_STORAGE_WEB_URL_H

#include "common/auto.h"
#include "common/buffer.h"
#include "common/error.h"

#include <stdbool.h>

struct url
{
  char *text;          /* absolute, http or https, without user information and fragment */
  char *authorization; /* "Authorization: Basic …" where TEXT had user information, else NULL */
  char *fragment;      /* NULL: none */
};

/* Reads TEXT, relative to the absolute URL BASE (NULL: it is absolute). What isn't an http or https
 * URL is ERROR_USER, and the message holds nothing secret. */
int url_read (struct url *url, const char *base, const char *text, struct error *err);
void url_release (struct url *url);
#define auto_url AUTO (url_release)

/* Whether absolute LEFT and RIGHT have the same scheme, host and port. */
bool url_same_server (const char *left, const char *right);

/* Bytes of URL up to its query. */
size_t url_path_end (const char *url);

/* Appends PATH, "/"-separated and any bytes, as it stands in a URL. */
void url_encode (struct buffer *buffer, const char *path);

/* The SIZE bytes at TEXT with %XX replaced. NULL when that gives a NUL byte. The caller frees. */
char *url_decode (const char *text, size_t size);

/* As url_decode for one component of a path: NULL as well when it can't be a file's name ("", ".",
 * "..", with a "/", over 255 bytes). */
char *url_decode_name (const char *text, size_t size);

/* What URL's path ends in, as a file's name; NULL: it can't be one. The caller frees. */
char *url_last_name (const char *url);

/* Whether TO ends in what URL's path ends in, and a "/": where redirects from URL lead to TO, it is
 * a folder. */
bool url_is_slashed (const char *url, const char *to);

#endif
