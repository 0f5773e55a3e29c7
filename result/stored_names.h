/* stored_names.h — what lies in one folder of a store. */
#ifndef SHOAL_RESULT_STORED_NAMES_H
#define SHOAL_RESULT_STORED_NAMES_H

#include "common/strlist.h"
#include "storage/storage.h"

/* Adds to NAMES the folders (FOLDERS), or else the files, directly in FOLDER. 0, or -1 with ERR. */
int stored_names (struct storage *folder, bool folders, struct strlist *names, struct error *err);

#endif
