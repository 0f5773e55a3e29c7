/* variable.h — environment variables. */
#ifndef SHOAL_COMMON_VARIABLE_H
#define SHOAL_COMMON_VARIABLE_H

/* The value of NAME; NULL when it isn't set, or empty. */
const char *variable_get (const char *name);

#endif
