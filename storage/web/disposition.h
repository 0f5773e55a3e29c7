/* disposition.h — what a Content-Disposition header calls a file (RFC 6266). */
#ifndef SHOAL_STORAGE_WEB_DISPOSITION_H
#define SHOAL_STORAGE_WEB_DISPOSITION_H

/* The name in HEADER (NULL: there is none): `filename*` before `filename`, without folders. NULL:
 * it has none that can be a file's. The caller frees. */
char *disposition_name (const char *header);

#endif
