/* Written by tools/seccomp.py; change that, not this. Facts from public Go modules:
 *
 * github.com/moby/profiles/seccomp v0.3.0
 * h1:1vJ94fIWXz206DLWq7ddPD6qLP82N7351JI/9iGy3IY=
 *   which calls Docker allows to a container with CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER,
 *   CAP_FSETID, CAP_KILL, CAP_NET_BIND_SERVICE, CAP_SETGID, CAP_SETPCAP, CAP_SETUID,
 *   CAP_SYS_CHROOT
 *
 * golang.org/x/sys v0.50.0
 * h1:dkKZEFTEKaLr1sjhs0WiKqoi8Jj5nHbS3Njmx1UoMJs=
 *   how calls are called and numbered
 */
#include "worker/seccomp_table.h"

#include <linux/audit.h>
#include <stddef.h>

#define COUNT(array) (sizeof (array) / sizeof (array)[0])

static const struct seccomp_run calls_of_amd64[] = {
  { 0, SECCOMP_ALLOWED },          /* read … sendfile */
  { 41, SECCOMP_SOCKET },          /* socket */
  { 42, SECCOMP_ALLOWED },         /* connect … getsockopt */
  { 56, SECCOMP_CLONE },           /* clone */
  { 57, SECCOMP_ALLOWED },         /* fork … getuid */
  { 103, SECCOMP_REFUSED },        /* syslog */
  { 104, SECCOMP_ALLOWED },        /* getgid … mknod */
  { 134, SECCOMP_REFUSED },        /* uselib */
  { 135, SECCOMP_PERSONALITY },    /* personality */
  { 136, SECCOMP_REFUSED },        /* ustat */
  { 137, SECCOMP_ALLOWED },        /* statfs … fstatfs */
  { 139, SECCOMP_REFUSED },        /* sysfs */
  { 140, SECCOMP_ALLOWED },        /* getpriority … munlockall */
  { 153, SECCOMP_REFUSED },        /* vhangup */
  { 154, SECCOMP_ALLOWED },        /* modify_ldt */
  { 155, SECCOMP_REFUSED },        /* pivot_root … _sysctl */
  { 157, SECCOMP_ALLOWED },        /* prctl … sync */
  { 163, SECCOMP_REFUSED },        /* acct … security */
  { 186, SECCOMP_ALLOWED },        /* gettid … get_thread_area */
  { 212, SECCOMP_REFUSED },        /* lookup_dcookie */
  { 213, SECCOMP_ALLOWED },        /* epoll_create … timer_delete */
  { 227, SECCOMP_REFUSED },        /* clock_settime */
  { 228, SECCOMP_ALLOWED },        /* clock_gettime … utimes */
  { 236, SECCOMP_REFUSED },        /* vserver … get_mempolicy */
  { 240, SECCOMP_ALLOWED },        /* mq_open … mq_getsetattr */
  { 246, SECCOMP_REFUSED },        /* kexec_load */
  { 247, SECCOMP_ALLOWED },        /* waitid */
  { 248, SECCOMP_REFUSED },        /* add_key … keyctl */
  { 251, SECCOMP_ALLOWED },        /* ioprio_set … inotify_rm_watch */
  { 256, SECCOMP_REFUSED },        /* migrate_pages */
  { 257, SECCOMP_ALLOWED },        /* openat … ppoll */
  { 272, SECCOMP_REFUSED },        /* unshare */
  { 273, SECCOMP_ALLOWED },        /* set_robust_list … sync_file_range */
  { 278, SECCOMP_REFUSED },        /* vmsplice … move_pages */
  { 280, SECCOMP_ALLOWED },        /* utimensat … rt_tgsigqueueinfo */
  { 298, SECCOMP_REFUSED },        /* perf_event_open */
  { 299, SECCOMP_ALLOWED },        /* recvmmsg */
  { 300, SECCOMP_REFUSED },        /* fanotify_init */
  { 301, SECCOMP_ALLOWED },        /* fanotify_mark … name_to_handle_at */
  { 304, SECCOMP_REFUSED },        /* open_by_handle_at */
  { 305, SECCOMP_ALLOWED },        /* clock_adjtime … sendmmsg */
  { 308, SECCOMP_REFUSED },        /* setns */
  { 309, SECCOMP_ALLOWED },        /* getcpu … process_vm_writev */
  { 312, SECCOMP_REFUSED },        /* kcmp … finit_module */
  { 314, SECCOMP_ALLOWED },        /* sched_setattr … memfd_create */
  { 320, SECCOMP_REFUSED },        /* kexec_file_load … bpf */
  { 322, SECCOMP_ALLOWED },        /* execveat */
  { 323, SECCOMP_REFUSED },        /* userfaultfd */
  { 324, SECCOMP_ALLOWED },        /* membarrier … statx */
  { 333, SECCOMP_REFUSED },        /* io_pgetevents */
  { 334, SECCOMP_ALLOWED },        /* rseq … uretprobe */
  { 336, SECCOMP_REFUSED },        /* uprobe */
  { 337, SECCOMP_ABSENT },         /* no calls */
  { 424, SECCOMP_ALLOWED },        /* pidfd_send_signal */
  { 425, SECCOMP_REFUSED },        /* io_uring_setup … fspick */
  { 434, SECCOMP_ALLOWED },        /* pidfd_open */
  { 435, SECCOMP_ABSENT },         /* clone3 */
  { 436, SECCOMP_ALLOWED },        /* close_range … openat2 */
  { 438, SECCOMP_REFUSED },        /* pidfd_getfd */
  { 439, SECCOMP_ALLOWED },        /* faccessat2 */
  { 440, SECCOMP_REFUSED },        /* process_madvise */
  { 441, SECCOMP_ALLOWED },        /* epoll_pwait2 */
  { 442, SECCOMP_REFUSED },        /* mount_setattr … quotactl_fd */
  { 444, SECCOMP_ALLOWED },        /* landlock_create_ruleset … landlock_restrict_self */
  { 447, SECCOMP_REFUSED },        /* memfd_secret */
  { 448, SECCOMP_ALLOWED },        /* process_mrelease … futex_waitv */
  { 450, SECCOMP_REFUSED },        /* set_mempolicy_home_node … cachestat */
  { 452, SECCOMP_ALLOWED },        /* fchmodat2 */
  { 453, SECCOMP_REFUSED },        /* map_shadow_stack */
  { 454, SECCOMP_ALLOWED },        /* futex_wake … listmount */
  { 459, SECCOMP_REFUSED },        /* lsm_get_self_attr … lsm_list_modules */
  { 462, SECCOMP_ALLOWED },        /* mseal … removexattrat */
  { 467, SECCOMP_ABSENT },         /* open_tree_attr … rseq_slice_yield */
  { 0x40000200, SECCOMP_ALLOWED }, /* rt_sigaction … mq_notify */
  { 0x40000210, SECCOMP_REFUSED }, /* kexec_load */
  { 0x40000211, SECCOMP_ALLOWED }, /* waitid … get_robust_list */
  { 0x40000214, SECCOMP_REFUSED }, /* vmsplice … move_pages */
  { 0x40000216, SECCOMP_ALLOWED }, /* preadv … pwritev2 */
  { 0x40000224, SECCOMP_ABSENT },  /* no calls */
};

static const struct seccomp_run calls_of_386[] = {
  { 0, SECCOMP_ALLOWED },       /* restart_syscall … lchown */
  { 17, SECCOMP_REFUSED },      /* break … oldstat */
  { 19, SECCOMP_ALLOWED },      /* lseek … getpid */
  { 21, SECCOMP_REFUSED },      /* mount … umount */
  { 23, SECCOMP_ALLOWED },      /* setuid … getuid */
  { 25, SECCOMP_REFUSED },      /* stime */
  { 26, SECCOMP_ALLOWED },      /* ptrace … alarm */
  { 28, SECCOMP_REFUSED },      /* oldfstat */
  { 29, SECCOMP_ALLOWED },      /* pause … utime */
  { 31, SECCOMP_REFUSED },      /* stty … gtty */
  { 33, SECCOMP_ALLOWED },      /* access */
  { 34, SECCOMP_REFUSED },      /* nice … ftime */
  { 36, SECCOMP_ALLOWED },      /* sync … times */
  { 44, SECCOMP_REFUSED },      /* prof */
  { 45, SECCOMP_ALLOWED },      /* brk … getgid */
  { 48, SECCOMP_REFUSED },      /* signal */
  { 49, SECCOMP_ALLOWED },      /* geteuid … getegid */
  { 51, SECCOMP_REFUSED },      /* acct … lock */
  { 54, SECCOMP_ALLOWED },      /* ioctl … fcntl */
  { 56, SECCOMP_REFUSED },      /* mpx */
  { 57, SECCOMP_ALLOWED },      /* setpgid */
  { 58, SECCOMP_REFUSED },      /* ulimit … oldolduname */
  { 60, SECCOMP_ALLOWED },      /* umask … chroot */
  { 62, SECCOMP_REFUSED },      /* ustat */
  { 63, SECCOMP_ALLOWED },      /* dup2 … setsid */
  { 67, SECCOMP_REFUSED },      /* sigaction … ssetmask */
  { 70, SECCOMP_ALLOWED },      /* setreuid … setregid */
  { 72, SECCOMP_REFUSED },      /* sigsuspend … sethostname */
  { 75, SECCOMP_ALLOWED },      /* setrlimit … gettimeofday */
  { 79, SECCOMP_REFUSED },      /* settimeofday */
  { 80, SECCOMP_ALLOWED },      /* getgroups … symlink */
  { 84, SECCOMP_REFUSED },      /* oldlstat */
  { 85, SECCOMP_ALLOWED },      /* readlink */
  { 86, SECCOMP_REFUSED },      /* uselib … readdir */
  { 90, SECCOMP_ALLOWED },      /* mmap … setpriority */
  { 98, SECCOMP_REFUSED },      /* profil */
  { 99, SECCOMP_ALLOWED },      /* statfs … fstatfs */
  { 101, SECCOMP_REFUSED },     /* ioperm … syslog */
  { 104, SECCOMP_ALLOWED },     /* setitimer … fstat */
  { 109, SECCOMP_REFUSED },     /* olduname … vm86old */
  { 114, SECCOMP_ALLOWED },     /* wait4 */
  { 115, SECCOMP_REFUSED },     /* swapoff */
  { 116, SECCOMP_ALLOWED },     /* sysinfo … sigreturn */
  { 120, SECCOMP_CLONE },       /* clone */
  { 121, SECCOMP_REFUSED },     /* setdomainname */
  { 122, SECCOMP_ALLOWED },     /* uname … sigprocmask */
  { 127, SECCOMP_REFUSED },     /* create_module … quotactl */
  { 132, SECCOMP_ALLOWED },     /* getpgid … fchdir */
  { 134, SECCOMP_REFUSED },     /* bdflush … sysfs */
  { 136, SECCOMP_PERSONALITY }, /* personality */
  { 137, SECCOMP_REFUSED },     /* afs_syscall */
  { 138, SECCOMP_ALLOWED },     /* setfsuid … fdatasync */
  { 149, SECCOMP_REFUSED },     /* _sysctl */
  { 150, SECCOMP_ALLOWED },     /* mlock … getresuid */
  { 166, SECCOMP_REFUSED },     /* vm86 … query_module */
  { 168, SECCOMP_ALLOWED },     /* poll */
  { 169, SECCOMP_REFUSED },     /* nfsservctl */
  { 170, SECCOMP_ALLOWED },     /* setresgid … sendfile */
  { 188, SECCOMP_REFUSED },     /* getpmsg … putpmsg */
  { 190, SECCOMP_ALLOWED },     /* vfork … setfsgid32 */
  { 217, SECCOMP_REFUSED },     /* pivot_root */
  { 218, SECCOMP_ALLOWED },     /* mincore … fcntl64 */
  { 222, SECCOMP_ABSENT },      /* no calls */
  { 224, SECCOMP_ALLOWED },     /* gettid … fadvise64 */
  { 251, SECCOMP_ABSENT },      /* no calls */
  { 252, SECCOMP_ALLOWED },     /* exit_group */
  { 253, SECCOMP_REFUSED },     /* lookup_dcookie */
  { 254, SECCOMP_ALLOWED },     /* epoll_create … timer_delete */
  { 264, SECCOMP_REFUSED },     /* clock_settime */
  { 265, SECCOMP_ALLOWED },     /* clock_gettime … fadvise64_64 */
  { 273, SECCOMP_REFUSED },     /* vserver … set_mempolicy */
  { 277, SECCOMP_ALLOWED },     /* mq_open … mq_getsetattr */
  { 283, SECCOMP_REFUSED },     /* kexec_load */
  { 284, SECCOMP_ALLOWED },     /* waitid */
  { 285, SECCOMP_ABSENT },      /* no calls */
  { 286, SECCOMP_REFUSED },     /* add_key … keyctl */
  { 289, SECCOMP_ALLOWED },     /* ioprio_set … inotify_rm_watch */
  { 294, SECCOMP_REFUSED },     /* migrate_pages */
  { 295, SECCOMP_ALLOWED },     /* openat … ppoll */
  { 310, SECCOMP_REFUSED },     /* unshare */
  { 311, SECCOMP_ALLOWED },     /* set_robust_list … tee */
  { 316, SECCOMP_REFUSED },     /* vmsplice … move_pages */
  { 318, SECCOMP_ALLOWED },     /* getcpu … rt_tgsigqueueinfo */
  { 336, SECCOMP_REFUSED },     /* perf_event_open */
  { 337, SECCOMP_ALLOWED },     /* recvmmsg */
  { 338, SECCOMP_REFUSED },     /* fanotify_init */
  { 339, SECCOMP_ALLOWED },     /* fanotify_mark … name_to_handle_at */
  { 342, SECCOMP_REFUSED },     /* open_by_handle_at */
  { 343, SECCOMP_ALLOWED },     /* clock_adjtime … sendmmsg */
  { 346, SECCOMP_REFUSED },     /* setns */
  { 347, SECCOMP_ALLOWED },     /* process_vm_readv … process_vm_writev */
  { 349, SECCOMP_REFUSED },     /* kcmp … finit_module */
  { 351, SECCOMP_ALLOWED },     /* sched_setattr … memfd_create */
  { 357, SECCOMP_REFUSED },     /* bpf */
  { 358, SECCOMP_ALLOWED },     /* execveat */
  { 359, SECCOMP_SOCKET },      /* socket */
  { 360, SECCOMP_ALLOWED },     /* socketpair … shutdown */
  { 374, SECCOMP_REFUSED },     /* userfaultfd */
  { 375, SECCOMP_ALLOWED },     /* membarrier … arch_prctl */
  { 385, SECCOMP_REFUSED },     /* io_pgetevents */
  { 386, SECCOMP_ALLOWED },     /* rseq */
  { 387, SECCOMP_ABSENT },      /* no calls */
  { 393, SECCOMP_ALLOWED },     /* semget … clock_gettime64 */
  { 404, SECCOMP_REFUSED },     /* clock_settime64 */
  { 405, SECCOMP_ALLOWED },     /* clock_adjtime64 … ppoll_time64 */
  { 415, SECCOMP_ABSENT },      /* no calls */
  { 416, SECCOMP_REFUSED },     /* io_pgetevents_time64 */
  { 417, SECCOMP_ALLOWED },     /* recvmmsg_time64 … pidfd_send_signal */
  { 425, SECCOMP_REFUSED },     /* io_uring_setup … fspick */
  { 434, SECCOMP_ALLOWED },     /* pidfd_open */
  { 435, SECCOMP_ABSENT },      /* clone3 */
  { 436, SECCOMP_ALLOWED },     /* close_range … openat2 */
  { 438, SECCOMP_REFUSED },     /* pidfd_getfd */
  { 439, SECCOMP_ALLOWED },     /* faccessat2 */
  { 440, SECCOMP_REFUSED },     /* process_madvise */
  { 441, SECCOMP_ALLOWED },     /* epoll_pwait2 */
  { 442, SECCOMP_REFUSED },     /* mount_setattr … quotactl_fd */
  { 444, SECCOMP_ALLOWED },     /* landlock_create_ruleset … landlock_restrict_self */
  { 447, SECCOMP_REFUSED },     /* memfd_secret */
  { 448, SECCOMP_ALLOWED },     /* process_mrelease … futex_waitv */
  { 450, SECCOMP_REFUSED },     /* set_mempolicy_home_node … cachestat */
  { 452, SECCOMP_ALLOWED },     /* fchmodat2 */
  { 453, SECCOMP_REFUSED },     /* map_shadow_stack */
  { 454, SECCOMP_ALLOWED },     /* futex_wake … listmount */
  { 459, SECCOMP_REFUSED },     /* lsm_get_self_attr … lsm_list_modules */
  { 462, SECCOMP_ALLOWED },     /* mseal … removexattrat */
  { 467, SECCOMP_ABSENT },      /* open_tree_attr … rseq_slice_yield */
};

static const struct seccomp_abi abis_of_x86_64[] = {
  { AUDIT_ARCH_X86_64, calls_of_amd64, COUNT (calls_of_amd64) },
  { AUDIT_ARCH_I386, calls_of_386, COUNT (calls_of_386) },
};

static const struct seccomp_run calls_of_arm64[] = {
  { 0, SECCOMP_ALLOWED },      /* io_setup … getcwd */
  { 18, SECCOMP_REFUSED },     /* lookup_dcookie */
  { 19, SECCOMP_ALLOWED },     /* eventfd2 … renameat */
  { 39, SECCOMP_REFUSED },     /* umount2 … nfsservctl */
  { 43, SECCOMP_ALLOWED },     /* statfs … close */
  { 58, SECCOMP_REFUSED },     /* vhangup */
  { 59, SECCOMP_ALLOWED },     /* pipe2 */
  { 60, SECCOMP_REFUSED },     /* quotactl */
  { 61, SECCOMP_ALLOWED },     /* getdents64 … signalfd4 */
  { 75, SECCOMP_REFUSED },     /* vmsplice */
  { 76, SECCOMP_ALLOWED },     /* splice … utimensat */
  { 89, SECCOMP_REFUSED },     /* acct */
  { 90, SECCOMP_ALLOWED },     /* capget … capset */
  { 92, SECCOMP_PERSONALITY }, /* personality */
  { 93, SECCOMP_ALLOWED },     /* exit … set_tid_address */
  { 97, SECCOMP_REFUSED },     /* unshare */
  { 98, SECCOMP_ALLOWED },     /* futex … setitimer */
  { 104, SECCOMP_REFUSED },    /* kexec_load … delete_module */
  { 107, SECCOMP_ALLOWED },    /* timer_create … timer_delete */
  { 112, SECCOMP_REFUSED },    /* clock_settime */
  { 113, SECCOMP_ALLOWED },    /* clock_gettime … clock_nanosleep */
  { 116, SECCOMP_REFUSED },    /* syslog */
  { 117, SECCOMP_ALLOWED },    /* ptrace … getpriority */
  { 142, SECCOMP_REFUSED },    /* reboot */
  { 143, SECCOMP_ALLOWED },    /* setregid … uname */
  { 161, SECCOMP_REFUSED },    /* sethostname … setdomainname */
  { 163, SECCOMP_ALLOWED },    /* getrlimit … gettimeofday */
  { 170, SECCOMP_REFUSED },    /* settimeofday */
  { 171, SECCOMP_ALLOWED },    /* adjtimex … shmdt */
  { 198, SECCOMP_SOCKET },     /* socket */
  { 199, SECCOMP_ALLOWED },    /* socketpair … mremap */
  { 217, SECCOMP_REFUSED },    /* add_key … keyctl */
  { 220, SECCOMP_CLONE },      /* clone */
  { 221, SECCOMP_ALLOWED },    /* execve … fadvise64 */
  { 224, SECCOMP_REFUSED },    /* swapon … swapoff */
  { 226, SECCOMP_ALLOWED },    /* mprotect … remap_file_pages */
  { 235, SECCOMP_REFUSED },    /* mbind … move_pages */
  { 240, SECCOMP_ALLOWED },    /* rt_tgsigqueueinfo */
  { 241, SECCOMP_REFUSED },    /* perf_event_open */
  { 242, SECCOMP_ALLOWED },    /* accept4 … recvmmsg */
  { 244, SECCOMP_ABSENT },     /* no calls */
  { 260, SECCOMP_ALLOWED },    /* wait4 … prlimit64 */
  { 262, SECCOMP_REFUSED },    /* fanotify_init */
  { 263, SECCOMP_ALLOWED },    /* fanotify_mark … name_to_handle_at */
  { 265, SECCOMP_REFUSED },    /* open_by_handle_at */
  { 266, SECCOMP_ALLOWED },    /* clock_adjtime … syncfs */
  { 268, SECCOMP_REFUSED },    /* setns */
  { 269, SECCOMP_ALLOWED },    /* sendmmsg … process_vm_writev */
  { 272, SECCOMP_REFUSED },    /* kcmp … finit_module */
  { 274, SECCOMP_ALLOWED },    /* sched_setattr … memfd_create */
  { 280, SECCOMP_REFUSED },    /* bpf */
  { 281, SECCOMP_ALLOWED },    /* execveat */
  { 282, SECCOMP_REFUSED },    /* userfaultfd */
  { 283, SECCOMP_ALLOWED },    /* membarrier … statx */
  { 292, SECCOMP_REFUSED },    /* io_pgetevents */
  { 293, SECCOMP_ALLOWED },    /* rseq */
  { 294, SECCOMP_REFUSED },    /* kexec_file_load */
  { 295, SECCOMP_ABSENT },     /* no calls */
  { 424, SECCOMP_ALLOWED },    /* pidfd_send_signal */
  { 425, SECCOMP_REFUSED },    /* io_uring_setup … fspick */
  { 434, SECCOMP_ALLOWED },    /* pidfd_open */
  { 435, SECCOMP_ABSENT },     /* clone3 */
  { 436, SECCOMP_ALLOWED },    /* close_range … openat2 */
  { 438, SECCOMP_REFUSED },    /* pidfd_getfd */
  { 439, SECCOMP_ALLOWED },    /* faccessat2 */
  { 440, SECCOMP_REFUSED },    /* process_madvise */
  { 441, SECCOMP_ALLOWED },    /* epoll_pwait2 */
  { 442, SECCOMP_REFUSED },    /* mount_setattr … quotactl_fd */
  { 444, SECCOMP_ALLOWED },    /* landlock_create_ruleset … landlock_restrict_self */
  { 447, SECCOMP_REFUSED },    /* memfd_secret */
  { 448, SECCOMP_ALLOWED },    /* process_mrelease … futex_waitv */
  { 450, SECCOMP_REFUSED },    /* set_mempolicy_home_node … cachestat */
  { 452, SECCOMP_ALLOWED },    /* fchmodat2 */
  { 453, SECCOMP_REFUSED },    /* map_shadow_stack */
  { 454, SECCOMP_ALLOWED },    /* futex_wake … listmount */
  { 459, SECCOMP_REFUSED },    /* lsm_get_self_attr … lsm_list_modules */
  { 462, SECCOMP_ALLOWED },    /* mseal … removexattrat */
  { 467, SECCOMP_ABSENT },     /* open_tree_attr … rseq_slice_yield */
};

static const struct seccomp_run calls_of_arm[] = {
  { 0, SECCOMP_ALLOWED },       /* restart_syscall … close */
  { 7, SECCOMP_ABSENT },        /* no calls */
  { 8, SECCOMP_ALLOWED },       /* creat … chdir */
  { 13, SECCOMP_ABSENT },       /* no calls */
  { 14, SECCOMP_ALLOWED },      /* mknod … lchown */
  { 17, SECCOMP_ABSENT },       /* no calls */
  { 19, SECCOMP_ALLOWED },      /* lseek … getpid */
  { 21, SECCOMP_REFUSED },      /* mount */
  { 22, SECCOMP_ABSENT },       /* no calls */
  { 23, SECCOMP_ALLOWED },      /* setuid … getuid */
  { 25, SECCOMP_ABSENT },       /* no calls */
  { 26, SECCOMP_ALLOWED },      /* ptrace */
  { 27, SECCOMP_ABSENT },       /* no calls */
  { 29, SECCOMP_ALLOWED },      /* pause */
  { 30, SECCOMP_ABSENT },       /* no calls */
  { 33, SECCOMP_ALLOWED },      /* access */
  { 34, SECCOMP_REFUSED },      /* nice */
  { 35, SECCOMP_ABSENT },       /* no calls */
  { 36, SECCOMP_ALLOWED },      /* sync … times */
  { 44, SECCOMP_ABSENT },       /* no calls */
  { 45, SECCOMP_ALLOWED },      /* brk … getgid */
  { 48, SECCOMP_ABSENT },       /* no calls */
  { 49, SECCOMP_ALLOWED },      /* geteuid … getegid */
  { 51, SECCOMP_REFUSED },      /* acct … umount2 */
  { 53, SECCOMP_ABSENT },       /* no calls */
  { 54, SECCOMP_ALLOWED },      /* ioctl … fcntl */
  { 56, SECCOMP_ABSENT },       /* no calls */
  { 57, SECCOMP_ALLOWED },      /* setpgid */
  { 58, SECCOMP_ABSENT },       /* no calls */
  { 60, SECCOMP_ALLOWED },      /* umask … chroot */
  { 62, SECCOMP_REFUSED },      /* ustat */
  { 63, SECCOMP_ALLOWED },      /* dup2 … setsid */
  { 67, SECCOMP_REFUSED },      /* sigaction */
  { 68, SECCOMP_ABSENT },       /* no calls */
  { 70, SECCOMP_ALLOWED },      /* setreuid … setregid */
  { 72, SECCOMP_REFUSED },      /* sigsuspend … sethostname */
  { 75, SECCOMP_ALLOWED },      /* setrlimit */
  { 76, SECCOMP_ABSENT },       /* no calls */
  { 77, SECCOMP_ALLOWED },      /* getrusage … gettimeofday */
  { 79, SECCOMP_REFUSED },      /* settimeofday */
  { 80, SECCOMP_ALLOWED },      /* getgroups … setgroups */
  { 82, SECCOMP_ABSENT },       /* no calls */
  { 83, SECCOMP_ALLOWED },      /* symlink */
  { 84, SECCOMP_ABSENT },       /* no calls */
  { 85, SECCOMP_ALLOWED },      /* readlink */
  { 86, SECCOMP_REFUSED },      /* uselib … reboot */
  { 89, SECCOMP_ABSENT },       /* no calls */
  { 91, SECCOMP_ALLOWED },      /* munmap … setpriority */
  { 98, SECCOMP_ABSENT },       /* no calls */
  { 99, SECCOMP_ALLOWED },      /* statfs … fstatfs */
  { 101, SECCOMP_ABSENT },      /* no calls */
  { 103, SECCOMP_REFUSED },     /* syslog */
  { 104, SECCOMP_ALLOWED },     /* setitimer … fstat */
  { 109, SECCOMP_ABSENT },      /* no calls */
  { 111, SECCOMP_REFUSED },     /* vhangup */
  { 112, SECCOMP_ABSENT },      /* no calls */
  { 114, SECCOMP_ALLOWED },     /* wait4 */
  { 115, SECCOMP_REFUSED },     /* swapoff */
  { 116, SECCOMP_ALLOWED },     /* sysinfo */
  { 117, SECCOMP_ABSENT },      /* no calls */
  { 118, SECCOMP_ALLOWED },     /* fsync … sigreturn */
  { 120, SECCOMP_CLONE },       /* clone */
  { 121, SECCOMP_REFUSED },     /* setdomainname */
  { 122, SECCOMP_ALLOWED },     /* uname */
  { 123, SECCOMP_ABSENT },      /* no calls */
  { 124, SECCOMP_ALLOWED },     /* adjtimex … sigprocmask */
  { 127, SECCOMP_ABSENT },      /* no calls */
  { 128, SECCOMP_REFUSED },     /* init_module … delete_module */
  { 130, SECCOMP_ABSENT },      /* no calls */
  { 131, SECCOMP_REFUSED },     /* quotactl */
  { 132, SECCOMP_ALLOWED },     /* getpgid … fchdir */
  { 134, SECCOMP_REFUSED },     /* bdflush … sysfs */
  { 136, SECCOMP_PERSONALITY }, /* personality */
  { 137, SECCOMP_ABSENT },      /* no calls */
  { 138, SECCOMP_ALLOWED },     /* setfsuid … fdatasync */
  { 149, SECCOMP_REFUSED },     /* _sysctl */
  { 150, SECCOMP_ALLOWED },     /* mlock … getresuid */
  { 166, SECCOMP_ABSENT },      /* no calls */
  { 168, SECCOMP_ALLOWED },     /* poll */
  { 169, SECCOMP_REFUSED },     /* nfsservctl */
  { 170, SECCOMP_ALLOWED },     /* setresgid … sendfile */
  { 188, SECCOMP_ABSENT },      /* no calls */
  { 190, SECCOMP_ALLOWED },     /* vfork … getdents64 */
  { 218, SECCOMP_REFUSED },     /* pivot_root */
  { 219, SECCOMP_ALLOWED },     /* mincore … fcntl64 */
  { 222, SECCOMP_ABSENT },      /* no calls */
  { 224, SECCOMP_ALLOWED },     /* gettid … exit_group */
  { 249, SECCOMP_REFUSED },     /* lookup_dcookie */
  { 250, SECCOMP_ALLOWED },     /* epoll_create … remap_file_pages */
  { 254, SECCOMP_ABSENT },      /* no calls */
  { 256, SECCOMP_ALLOWED },     /* set_tid_address … timer_delete */
  { 262, SECCOMP_REFUSED },     /* clock_settime */
  { 263, SECCOMP_ALLOWED },     /* clock_gettime … arm_fadvise64_64 */
  { 271, SECCOMP_REFUSED },     /* pciconfig_iobase … pciconfig_write */
  { 274, SECCOMP_ALLOWED },     /* mq_open … waitid */
  { 281, SECCOMP_SOCKET },      /* socket */
  { 282, SECCOMP_ALLOWED },     /* bind … shmctl */
  { 309, SECCOMP_REFUSED },     /* add_key … keyctl */
  { 312, SECCOMP_ALLOWED },     /* semtimedop */
  { 313, SECCOMP_REFUSED },     /* vserver */
  { 314, SECCOMP_ALLOWED },     /* ioprio_set … inotify_rm_watch */
  { 319, SECCOMP_REFUSED },     /* mbind … set_mempolicy */
  { 322, SECCOMP_ALLOWED },     /* openat … ppoll */
  { 337, SECCOMP_REFUSED },     /* unshare */
  { 338, SECCOMP_ALLOWED },     /* set_robust_list … tee */
  { 343, SECCOMP_REFUSED },     /* vmsplice … move_pages */
  { 345, SECCOMP_ALLOWED },     /* getcpu … epoll_pwait */
  { 347, SECCOMP_REFUSED },     /* kexec_load */
  { 348, SECCOMP_ALLOWED },     /* utimensat … rt_tgsigqueueinfo */
  { 364, SECCOMP_REFUSED },     /* perf_event_open */
  { 365, SECCOMP_ALLOWED },     /* recvmmsg … accept4 */
  { 367, SECCOMP_REFUSED },     /* fanotify_init */
  { 368, SECCOMP_ALLOWED },     /* fanotify_mark … name_to_handle_at */
  { 371, SECCOMP_REFUSED },     /* open_by_handle_at */
  { 372, SECCOMP_ALLOWED },     /* clock_adjtime … sendmmsg */
  { 375, SECCOMP_REFUSED },     /* setns */
  { 376, SECCOMP_ALLOWED },     /* process_vm_readv … process_vm_writev */
  { 378, SECCOMP_REFUSED },     /* kcmp … finit_module */
  { 380, SECCOMP_ALLOWED },     /* sched_setattr … memfd_create */
  { 386, SECCOMP_REFUSED },     /* bpf */
  { 387, SECCOMP_ALLOWED },     /* execveat */
  { 388, SECCOMP_REFUSED },     /* userfaultfd */
  { 389, SECCOMP_ALLOWED },     /* membarrier … rseq */
  { 399, SECCOMP_REFUSED },     /* io_pgetevents … kexec_file_load */
  { 402, SECCOMP_ABSENT },      /* no calls */
  { 403, SECCOMP_ALLOWED },     /* clock_gettime64 */
  { 404, SECCOMP_REFUSED },     /* clock_settime64 */
  { 405, SECCOMP_ALLOWED },     /* clock_adjtime64 … ppoll_time64 */
  { 415, SECCOMP_ABSENT },      /* no calls */
  { 416, SECCOMP_REFUSED },     /* io_pgetevents_time64 */
  { 417, SECCOMP_ALLOWED },     /* recvmmsg_time64 … pidfd_send_signal */
  { 425, SECCOMP_REFUSED },     /* io_uring_setup … fspick */
  { 434, SECCOMP_ALLOWED },     /* pidfd_open */
  { 435, SECCOMP_ABSENT },      /* clone3 */
  { 436, SECCOMP_ALLOWED },     /* close_range … openat2 */
  { 438, SECCOMP_REFUSED },     /* pidfd_getfd */
  { 439, SECCOMP_ALLOWED },     /* faccessat2 */
  { 440, SECCOMP_REFUSED },     /* process_madvise */
  { 441, SECCOMP_ALLOWED },     /* epoll_pwait2 */
  { 442, SECCOMP_REFUSED },     /* mount_setattr … quotactl_fd */
  { 444, SECCOMP_ALLOWED },     /* landlock_create_ruleset … landlock_restrict_self */
  { 447, SECCOMP_ABSENT },      /* no calls */
  { 448, SECCOMP_ALLOWED },     /* process_mrelease … futex_waitv */
  { 450, SECCOMP_REFUSED },     /* set_mempolicy_home_node … cachestat */
  { 452, SECCOMP_ALLOWED },     /* fchmodat2 */
  { 453, SECCOMP_REFUSED },     /* map_shadow_stack */
  { 454, SECCOMP_ALLOWED },     /* futex_wake … listmount */
  { 459, SECCOMP_REFUSED },     /* lsm_get_self_attr … lsm_list_modules */
  { 462, SECCOMP_ALLOWED },     /* mseal … removexattrat */
  { 467, SECCOMP_ABSENT },      /* open_tree_attr … rseq_slice_yield */
  { 0xf0001, SECCOMP_ALLOWED }, /* breakpoint … cacheflush */
  { 0xf0003, SECCOMP_REFUSED }, /* usr26 … usr32 */
  { 0xf0005, SECCOMP_ALLOWED }, /* set_tls */
  { 0xf0006, SECCOMP_REFUSED }, /* get_tls */
  { 0xf0007, SECCOMP_ABSENT },  /* no calls */
};

static const struct seccomp_abi abis_of_aarch64[] = {
  { AUDIT_ARCH_AARCH64, calls_of_arm64, COUNT (calls_of_arm64) },
  { AUDIT_ARCH_ARM, calls_of_arm, COUNT (calls_of_arm) },
};

const struct seccomp_machine seccomp_machines[] = {
  { "x86_64",
    abis_of_x86_64,
    COUNT (abis_of_x86_64),
    { "SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32" } },
  { "aarch64", abis_of_aarch64, COUNT (abis_of_aarch64), { "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM" } },
  { NULL, NULL, 0, { NULL } },
};

static const struct seccomp_run families[] = {
  { 0, SECCOMP_ALLOWED },  { 3, SECCOMP_REFUSED },  { 7, SECCOMP_ALLOWED },
  { 11, SECCOMP_REFUSED }, { 13, SECCOMP_ALLOWED }, { 16, SECCOMP_NETLINK },
  { 17, SECCOMP_ALLOWED }, { 19, SECCOMP_REFUSED }, { 21, SECCOMP_ALLOWED },
  { 23, SECCOMP_REFUSED }, { 24, SECCOMP_ALLOWED }, { 25, SECCOMP_REFUSED },
  { 26, SECCOMP_ALLOWED }, { 34, SECCOMP_REFUSED }, { 35, SECCOMP_ALLOWED },
  { 37, SECCOMP_REFUSED }, { 39, SECCOMP_ALLOWED }, { 40, SECCOMP_REFUSED },
  { 41, SECCOMP_ALLOWED }, { 46, SECCOMP_REFUSED },
};
static const struct seccomp_run personalities[] = {
  { 0, SECCOMP_ALLOWED },      { 1, SECCOMP_REFUSED },      { 8, SECCOMP_ALLOWED },
  { 9, SECCOMP_REFUSED },      { 131072, SECCOMP_ALLOWED }, { 131073, SECCOMP_REFUSED },
  { 131080, SECCOMP_ALLOWED }, { 131081, SECCOMP_REFUSED }, { 0xffffffff, SECCOMP_ALLOWED },
};
const struct seccomp_arguments seccomp_arguments = {
  families, COUNT (families), personalities, COUNT (personalities), 0x7e020000,
};

const char seccomp_allowed[] =
    "_llseek _newselect accept accept4 access adjtimex alarm arch_prctl arm_fadvise64_64 "
    "arm_sync_file_range bind breakpoint brk cacheflush capget capset chdir chmod chown chown32 "
    "chroot clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime "
    "clock_gettime64 clock_nanosleep clock_nanosleep_time64 close close_range connect "
    "copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old "
    "epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit "
    "exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark fchdir "
    "fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr "
    "flistxattr flock fork fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 "
    "fsync ftruncate ftruncate64 futex futex_requeue futex_time64 futex_wait futex_waitv "
    "futex_wake futimesat get_robust_list get_thread_area getcpu getcwd getdents getdents64 "
    "getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer "
    "getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresgid32 "
    "getresuid getresuid32 getrlimit getrusage getsid getsockname getsockopt gettid "
    "gettimeofday getuid getuid32 getxattr getxattrat inotify_add_watch inotify_init "
    "inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents io_setup io_submit ioctl "
    "ioprio_get ioprio_set ipc kill landlock_add_rule landlock_create_ruleset "
    "landlock_restrict_self lchown lchown32 lgetxattr link linkat listen listmount listxattr "
    "listxattrat llistxattr lremovexattr lseek lsetxattr lstat lstat64 madvise membarrier "
    "memfd_create mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall mmap mmap2 "
    "modify_ldt mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 "
    "mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync "
    "munlock munlockall munmap name_to_handle_at nanosleep newfstatat open openat openat2 pause "
    "pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll "
    "ppoll_time64 prctl pread64 preadv preadv2 prlimit64 process_mrelease process_vm_readv "
    "process_vm_writev pselect6 pselect6_time64 ptrace pwrite64 pwritev pwritev2 read readahead "
    "readlink readlinkat readv recv recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages "
    "removexattr removexattrat rename renameat renameat2 restart_syscall riscv_flush_icache "
    "riscv_hwprobe rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo "
    "rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo "
    "s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr sched_get_priority_max "
    "sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler "
    "sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr "
    "sched_setparam sched_setscheduler sched_yield seccomp select semctl semget semop "
    "semtimedop semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto "
    "set_robust_list set_thread_area set_tid_address set_tls setfsgid setfsgid32 setfsuid "
    "setfsuid32 setgid setgid32 setgroups setgroups32 setitimer setpgid setpriority setregid "
    "setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit "
    "setsid setsockopt setuid setuid32 setxattr setxattrat shmat shmctl shmdt shmget shutdown "
    "sigaltstack signalfd signalfd4 sigprocmask sigreturn socketpair splice stat stat64 statfs "
    "statfs64 statmount statx swapcontext symlink symlinkat sync sync_file_range "
    "sync_file_range2 syncfs sysinfo tee tgkill time timer_create timer_delete timer_getoverrun "
    "timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime "
    "timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill truncate truncate64 "
    "ugetrlimit umask uname unlink unlinkat uretprobe utime utimensat utimensat_time64 utimes "
    "vfork wait4 waitid waitpid write writev";

const char seccomp_refused[] =
    "_sysctl acct add_key afs_syscall bdflush bpf break cachestat clock_settime clock_settime64 "
    "create_module delete_module fanotify_init finit_module fsconfig fsmount fsopen fspick "
    "ftime get_kernel_syms get_mempolicy get_tls getpmsg gtty idle init_module io_pgetevents "
    "io_pgetevents_time64 io_uring_enter io_uring_register io_uring_setup ioperm iopl kcmp "
    "kexec_file_load kexec_load keyctl lock lookup_dcookie lsm_get_self_attr lsm_list_modules "
    "lsm_set_self_attr map_shadow_stack mbind memfd_secret migrate_pages mount mount_setattr "
    "move_mount move_pages mpx nfsservctl nice oldfstat oldlstat oldolduname oldstat olduname "
    "open_by_handle_at open_tree pciconfig_iobase pciconfig_read pciconfig_write "
    "perf_event_open pidfd_getfd pivot_root process_madvise prof profil putpmsg query_module "
    "quotactl quotactl_fd readdir reboot request_key security set_mempolicy "
    "set_mempolicy_home_node setdomainname sethostname setns settimeofday sgetmask sigaction "
    "signal sigpending sigsuspend socketcall ssetmask stime stty swapoff swapon sysfs syslog "
    "tuxcall ulimit umount umount2 unshare uprobe uselib userfaultfd usr26 usr32 ustat vhangup "
    "vm86 vm86old vmsplice vserver";
