/* address.h — where a server listens, from text to a socket. */
#ifndef SHOAL_HTTPD_ADDRESS_H
#define SHOAL_HTTPD_ADDRESS_H

#include "common/error.h"

#include <sys/types.h>

/* Where a server listens. */
struct address
{
  char *name;   /* how others call it, with the port that was chosen; owned */
  dev_t device; /* of a socket in the file system … */
  ino_t inode;  /* … which it is; 0: none */
};

/* A listening socket, close-on-exec, not blocking, at TEXT (httpd.h says how it reads); -1 with
 * ERR. ADDRESS is zeroed. What has a socket's path already is removed only when it is a socket of
 * ours that no server listens on: left by one that was killed. */
int address_listen (const char *text, struct address *address, struct error *err);

/* Removes what the server left in the file system, unless that is another's by now. Frees. */
void address_forget (struct address *address);

#endif
