#include "worker/image_platform.h"

#include "common/memory.h"
#include "schemas/job_names.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

void
image_platform_release (struct image_platform *platform)
{
  free (platform->os);
  free (platform->architecture);
  free (platform->variant);
  *platform = (struct image_platform){ 0 };
}

/* What the kernel calls a machine, and what images do. */
static const struct image_machine
{
  const char *machine;
  const char *architecture;
  const char *variant;
} machines[] = {
  { "x86_64", "amd64", "" },    { "aarch64", "arm64", "" },
  { "armv8l", "arm", "v7" },    { "armv7l", "arm", "v7" },
  { "armv6l", "arm", "v6" },    { "armv5tel", "arm", "v5" },
  { "i386", "386", "" },        { "i486", "386", "" },
  { "i586", "386", "" },        { "i686", "386", "" },
  { "ppc64le", "ppc64le", "" }, { "s390x", "s390x", "" },
  { "riscv64", "riscv64", "" }, { "loongarch64", "loong64", "" },
};

static void
image_platform_host (struct image_platform *platform)
{
  struct utsname name;
  const char *machine = uname (&name) == 0 ? name.machine : "";
  const char *architecture = machine;
  const char *variant = "";
  for (size_t i = 0; i < sizeof machines / sizeof *machines; i++)
    if (strcmp (machine, machines[i].machine) == 0)
      {
        architecture = machines[i].architecture;
        variant = machines[i].variant;
      }
  *platform = (struct image_platform){ .os = xstrdup ("linux"),
                                       .architecture = xstrdup (architecture),
                                       .variant = xstrdup (variant) };
}

int
image_platform_parse (const char *text, struct image_platform *platform, struct error *err)
{
  if (text == NULL)
    {
      image_platform_host (platform);
      return 0;
    }
  const char *first = strchr (text, '/');
  const char *second = first == NULL ? NULL : strchr (first + 1, '/');
  const char *end = text + strlen (text);
  const char *middle_end = second == NULL ? end : second;
  if (job_check_platform_name (text, err) != 0)
    return -1;
  *platform = (struct image_platform){
    .os = xstrndup (text, (size_t) (first - text)),
    .architecture = xstrndup (first + 1, (size_t) (middle_end - first - 1)),
    .variant = xstrdup (second == NULL ? "" : second + 1),
  };
  return 0;
}

static char *
image_platform_member (const json_t *object, const char *key)
{
  const char *text = json_string_value (json_object_get (object, key));
  return xstrdup (text != NULL ? text : "");
}

void
image_platform_read (const json_t *object, struct image_platform *platform)
{
  image_platform_release (platform);
  *platform =
      (struct image_platform){ .os = image_platform_member (object, "os"),
                               .architecture = image_platform_member (object, "architecture"),
                               .variant = image_platform_member (object, "variant") };
}

/* The number of a variant, "v7"; 0 without one. */
static int
image_platform_level (const char *variant)
{
  return variant[0] == 'v' ? atoi (variant + 1) : 0;
}

int
image_platform_fits (const struct image_platform *wanted, const struct image_platform *there)
{
  if ((there->os[0] != '\0' && strcmp (wanted->os, there->os) != 0)
      || (there->architecture[0] != '\0'
          && strcmp (wanted->architecture, there->architecture) != 0))
    return 0;
  if (there->os[0] == '\0' || there->architecture[0] == '\0')
    return 1;
  if (strcmp (wanted->variant, there->variant) == 0)
    return 100;
  int have = image_platform_level (wanted->variant);
  int need = image_platform_level (there->variant);
  /* Where the machine's variant isn't known, the oldest is the safest. */
  if (have == 0)
    return need < 50 ? 50 - need : 1;
  return need <= have ? 50 + need : 0;
}

char *
image_platform_format (const struct image_platform *platform)
{
  return xasprintf ("%s/%s%s%s", platform->os[0] != '\0' ? platform->os : "unknown",
                    platform->architecture[0] != '\0' ? platform->architecture : "unknown",
                    platform->variant[0] != '\0' ? "/" : "", platform->variant);
}
