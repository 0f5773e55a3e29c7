/* address.h — where a server listens, from text to a socket. */
#ifndef SHOAL_COMMON_HTTPD_ADDRESS_H
#define SHOAL_COMMON_HTTPD_ADDRESS_H

#include "common/error.h"

/* A listening socket, close-on-exec, not blocking, at ADDRESS (httpd.h says how it reads); -1 with ERR. *NAME is how others call
 * it, with the port that was chosen; the caller frees. */
int address_listen (const char *address, char **name, struct error *err);

/* Removes what NAME left in the file system. */
void address_forget (const char *name);

#endif
