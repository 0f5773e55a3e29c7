#include "cli/pod_options.h"

#include "cli/run_options.h"
#include "common/fs.h"
#include "common/memory.h"
#include "common/variable.h"
#include "schemas/job_check.h"
#include "schemas/job_names.h"
#include "worker/image_ref.h"
#include "worker/pod.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define ACCOUNT_FOLDER "/var/run/secrets/kubernetes.io/serviceaccount" /* by convention */

enum
{
  POD_NAME_MAX = 253,
};

#define ARGS(context) ((struct pod_args *) (context))

static int
pod_set_runtime (void *context, const char *value, struct error *err)
{
  ARGS (context)->pod = strcmp (value, "pod") == 0;
  return ARGS (context)->pod || strcmp (value, "oci") == 0
             ? 0
             : error_set (err, ERROR_USER, "\"%s\" is none of oci, pod", value);
}

static int
pod_set_socket (void *context, const char *value, struct error *err)
{
  (void) err;
  ARGS (context)->given = true;
  ARGS (context)->options.socket = value;
  return 0;
}

static int
pod_set_folder (void *context, const char *value, struct error *err)
{
  (void) err;
  ARGS (context)->given = true;
  ARGS (context)->options.folder = value;
  return 0;
}

static int
pod_set_image (void *context, const char *value, struct error *err)
{
  (void) err;
  ARGS (context)->given = true;
  ARGS (context)->options.image = value;
  return 0;
}

static int
pod_set_image_id (void *context, const char *value, struct error *err)
{
  (void) err;
  ARGS (context)->given = true;
  ARGS (context)->options.image_id = value;
  return 0;
}

static int
pod_set_cost (void *context, const char *value, struct error *err)
{
  (void) err;
  ARGS (context)->named = value;
  return 0;
}

const struct option_spec pod_option_specs[] = {
  { 0, "runtime", NULL, "oci|pod",
    "run commands in new containers, or the pod's other one (default oci)", GROUP_OTHER, false,
    pod_set_runtime },
  { 0, "pod-image", NULL, "IMAGE", "image of the pod's other container (default SHOAL_POD_IMAGE)",
    GROUP_OTHER, true, pod_set_image },
  { 0, "pod-image-id", NULL, "ID", "id of that image (default SHOAL_POD_IMAGE_ID)", GROUP_OTHER,
    true, pod_set_image_id },
  { 0, "pod-socket", NULL, "PATH", "socket of the pod's agent (default " POD_SOCKET_DEFAULT ")",
    GROUP_OTHER, true, pod_set_socket },
  { 0, "pod-folder", NULL, "DIR", "volume of both containers (default " POD_FOLDER_DEFAULT ")",
    GROUP_OTHER, true, pod_set_folder },
  { 0, "deletion-cost", NULL, "NAMESPACE/POD",
    "set the deletion cost of this pod (default SHOAL_DELETION_COST)", GROUP_OTHER, true,
    pod_set_cost },
  { 0 },
};

void
pod_args_release (struct pod_args *args)
{
  free (args->scratch);
  args->scratch = NULL;
  free (args->cost.url);
  args->cost.url = NULL;
}

static void
pod_args_default (const char **value, const char *name, const char *otherwise)
{
  if (*value == NULL)
    *value = variable_get (name);
  if (*value == NULL)
    *value = otherwise;
}

/* On the shared volume inputs are linked and outputs moved, not copied. */
static int
pod_args_make_scratch (struct pod_args *args, struct worker_options *worker, struct error *err)
{
  if (worker->scratch != NULL)
    return 0;
  auto_fd int folder = fs_open_folder (AT_FDCWD, args->options.folder, err);
  if (folder < 0 || fs_make_folders (folder, POD_SCRATCH, 0700, err) != 0)
    return error_wrap (err, "--pod-folder");
  args->scratch = xasprintf ("%s/%s", args->options.folder, POD_SCRATCH);
  worker->scratch = args->scratch;
  return 0;
}

static int
pod_args_check (const struct pod_options *options, const struct worker_options *worker,
                struct error *err)
{
  if (options->image == NULL)
    return error_set (err, ERROR_USER,
                      "--runtime pod: --pod-image (or SHOAL_POD_IMAGE) has to say which image the "
                      "pod's other container has");
  const char *at = strrchr (options->image, '@');
  auto_free char *ref = image_ref_normal (options->image, err);
  if (ref == NULL)
    return error_wrap (err, "--pod-image");
  if (at != NULL && !image_digest_is_valid (at + 1))
    return error_set (err, ERROR_USER,
                      "--pod-image: %s: expected sha256: and 64 hexadecimal digits behind @",
                      options->image);
  if (options->image_id != NULL && job_check_image_id (options->image_id, err) != 0)
    return error_wrap (err, "--pod-image-id");
  if (worker->oci_program != NULL || worker->userns != NULL || worker->images != NULL
      || worker->cdi != NULL)
    return error_set (err, ERROR_USER,
                      "--oci-runtime, --userns, --images and --cdi-spec-dir are for containers "
                      "that the worker makes, not for --runtime pod");
  if (worker->slots > 1)
    return error_set (err, ERROR_USER,
                      "--jobs %d: a pod runs one shard at a time; have more pods instead",
                      worker->slots);
  return 0;
}

/* Names as Kubernetes allows them for pods and namespaces. */
static bool
pod_is_name (const char *text, size_t size)
{
  static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-.";
  return size > 0 && size <= POD_NAME_MAX && text[0] != '.' && strspn (text, letters) >= size;
}

/* Whom to ask, from what kubelet tells every container. */
static int
pod_args_find_server (struct pod_args *args, struct worker_options *worker, struct error *err)
{
  pod_args_default (&args->named, "SHOAL_DELETION_COST", NULL);
  if (args->named == NULL)
    return 0;
  size_t space = strcspn (args->named, "/");
  const char *pod = args->named + space + (args->named[space] == '/' ? 1 : 0);
  if (!pod_is_name (args->named, space) || !pod_is_name (pod, strlen (pod)))
    return error_set (err, ERROR_USER, "--deletion-cost: \"%s\": expected NAMESPACE/POD",
                      args->named);
  const char *host = variable_get ("KUBERNETES_SERVICE_HOST");
  const char *port = variable_get ("KUBERNETES_SERVICE_PORT");
  if (host == NULL || port == NULL)
    return error_set (err, ERROR_USER,
                      "--deletion-cost: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT aren't "
                      "set: this isn't a pod");
  bool bare = strchr (host, ':') != NULL && host[0] != '[';
  args->cost.account = ACCOUNT_FOLDER;
  args->cost.url =
      xasprintf ("https://%s%s%s:%s/api/v1/namespaces/%.*s/pods/%s/status", bare ? "[" : "", host,
                 bare ? "]" : "", port, (int) space, args->named, pod);
  if (!fs_exists (AT_FDCWD, ACCOUNT_FOLDER "/token"))
    return error_set (err, ERROR_USER,
                      "--deletion-cost: " ACCOUNT_FOLDER "/token isn't there: mount the token of a "
                      "service account that may patch pods/status");
  worker->pod_cost = &args->cost;
  return 0;
}

int
pod_args_finish (struct pod_args *args, struct worker_options *worker, struct error *err)
{
  struct pod_options *options = &args->options;
  if (pod_args_find_server (args, worker, err) != 0)
    return -1;
  if (!args->pod)
    return !args->given
               ? 0
               : error_set (err, ERROR_USER, "--pod-image and its like are for --runtime pod");
  pod_args_default (&options->socket, "SHOAL_POD_SOCKET", POD_SOCKET_DEFAULT);
  pod_args_default (&options->folder, "SHOAL_POD_FOLDER", POD_FOLDER_DEFAULT);
  pod_args_default (&options->image, "SHOAL_POD_IMAGE", NULL);
  pod_args_default (&options->image_id, "SHOAL_POD_IMAGE_ID", NULL);
  if (pod_args_check (options, worker, err) != 0 || pod_args_make_scratch (args, worker, err) != 0)
    return -1;
  worker->slots = 1;
  worker->pod = options;
  return 0;
}
