/* error.h — why something failed, from the outside in, and what that means for a retry.
 *
 * A function that can fail takes `struct error *err` last and returns 0 (or a count, or a
 * descriptor) on success and -1 (or NULL) on failure. The innermost caller sets the error
 * once, each layer on the way out adds what it knows:
 *
 *     shard 42: stage in: /photos/a.jpg: Permission denied
 *
 * ERR may be NULL everywhere: the caller then doesn't want to know why. Not thread-safe:
 * an error belongs to one thread at a time.
 */
#ifndef SHOAL_COMMON_ERROR_H
#define SHOAL_COMMON_ERROR_H

#include <stdbool.h>

enum error_class
{
  ERROR_NONE = 0,
  ERROR_USER,      /* their image, their pattern, their input: trying again changes nothing */
  ERROR_TRANSIENT, /* the machine or a server failed us: trying again may help */
  ERROR_CONFLICT,  /* two shards wrote one path under the policy `fail` */
  ERROR_FATAL,     /* this process can't go on */
};

/* A plain value: ERROR_INIT or zeroed memory is "no error". Nothing to free. */
struct error
{
  enum error_class class;
  int code; /* the errno where one was the cause, else 0 */
  char message[2048];
};

#define ERROR_INIT                                                                                 \
  {                                                                                                \
    .class = ERROR_NONE                                                                            \
  }

/* Sets CLASS and the message; returns -1, so that a caller can write `return error_set (…)`. */
int error_set (struct error *err, enum error_class class, const char *format, ...)
    __attribute__ ((format (printf, 3, 4)));

/* As error_set, with ": " and the text of errno CODE behind the message; the class follows
 * from CODE: errors of the caller's input (ENOENT, EACCES, ENAMETOOLONG …) are ERROR_USER,
 * the rest (ENOSPC, EIO, EMFILE …) ERROR_TRANSIENT. */
int error_errno (struct error *err, int code, const char *format, ...)
    __attribute__ ((format (printf, 3, 4)));

/* What ERR says is this machine's trouble and nobody's input, whatever its errno was: ERROR_USER
 * becomes ERROR_TRANSIENT. Returns -1. */
int error_blame_machine (struct error *err);

/* Puts "FORMAT: " before the message that is there; the class stays. Returns -1. */
int error_wrap (struct error *err, const char *format, ...) __attribute__ ((format (printf, 2, 3)));

void error_clear (struct error *err);

/* Whether ERR holds an error. */
bool error_is_set (const struct error *err);

/* "user", "transient", "conflict", "fatal" or "none". */
const char *error_class_name (enum error_class class);

#endif
