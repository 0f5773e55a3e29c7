/* seccomp_oracle.h — what a container may call, from sources that worker/seccomp_table.c doesn't
 * have: Docker's own code has evaluated its profile (golden/seccomp/docker.txt), libseccomp knows
 * the numbers, and where we differ is listed here. */
#ifndef SHOAL_TESTS_LIB_SECCOMP_ORACLE_H
#define SHOAL_TESTS_LIB_SECCOMP_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct seccomp_oracle;

/* FOLDER is tests/. Fails the test when it can't be made. */
struct seccomp_oracle *seccomp_oracle_new (const char *folder);
void seccomp_oracle_free (struct seccomp_oracle *oracle);

/* The name of call NUMBER for ARCH (SCMP_ARCH_*). The caller frees; NULL: there is no such call. */
char *seccomp_oracle_name (uint32_t arch, uint32_t number);

/* The errno that call NUMBER with ARGUMENTS (six) gets, 0 when it passes. */
int seccomp_oracle_verdict (const struct seccomp_oracle *oracle, uint32_t arch, uint32_t number,
                            const uint64_t *arguments);

/* The same for a runtime that has libseccomp make the filter of seccomp_json(). */
int seccomp_oracle_runtime_verdict (const struct seccomp_oracle *oracle, uint32_t arch,
                                    uint32_t number, const uint64_t *arguments);

/* Compares what probe/system_calls printed (PRINTED) with the verdicts. Fails the test and names
 * the calls that differ. */
void seccomp_oracle_check (const struct seccomp_oracle *oracle, const char *printed,
                           bool by_runtime);

#endif
