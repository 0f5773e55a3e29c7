/* ini.h — AWS's files of credentials and settings: "[SECTION]", then "NAME = VALUE" lines.
 */
#ifndef SHOAL_STORAGE_S3_INI_H
#define SHOAL_STORAGE_S3_INI_H

/* The value of NAME in SECTION of TEXT, where the section may also be called "profile SECTION";
 * NULL when there is none. The caller frees. */
char *ini_value (const char *text, const char *section, const char *name);

#endif
