#!/usr/bin/env python3
"""How containers of Docker, Podman and shoal are held: the same attempts in each, as a Markdown table. By hand, as root.

    apt-get install docker.io podman
    tests/bench/isolation.py build/release/shoal            # the table of docs/security.md
    tests/bench/isolation.py build/release/shoal --raw DIR  # and what each container said, in DIR

Docker's daemon runs for this alone, on folders and a socket of its own, without networks. Kubernetes' restricted level is what its
documentation asks of a pod, given to Docker as options.
"""
import collections
import contextlib
import io
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
import time

here = pathlib.Path(__file__).resolve().parent
PROBES = here.parent / 'probe'
NOBODY = 65534
IMAGE = 'localhost/isolation:latest'
# struct vfs_cap_data of revision 2: CAP_SETUID, permitted and effective.
CAPABILITY = bytes([1, 0, 0, 2, 128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
INSIDE = '/probe/isolation.sh'
FAMILIES = {1: 'UNIX', 2: 'INET', 10: 'INET6', 16: 'NETLINK', 17: 'PACKET', 38: 'ALG', 40: 'VSOCK'}


def run(*words, **more):
    more = {'check': True, 'stdout': subprocess.PIPE, 'text': True} | more
    return subprocess.run([str(word) for word in words], **more).stdout


# ---- what all of them run ------------------------------------------------------------------

def make_image(folder, loop):
    """A root file system of busybox, the probes, a set-uid program, one with a capability, and a device node for everybody."""
    tree = folder / 'tree'
    (tree / 'bin').mkdir(parents=True)
    for name in ('probe', 'data', 'out', 'tmp', 'etc', 'dev', 'proc', 'sys'):
        (tree / name).mkdir()
    busybox = run('dpkg-query', '-L', 'busybox-static').split()
    busybox = next(path for path in busybox if path.endswith('/bin/busybox'))
    shutil.copy(busybox, tree / 'bin/busybox')
    for applet in run(busybox, '--list').split():
        if applet != 'busybox':
            (tree / 'bin' / applet).symlink_to('busybox')
    flags = ['-O1', '-Wall', '-Wextra', '-Werror', '-D_GNU_SOURCE', '-static']
    for name in ('system_calls', 'isolation'):
        run('cc', *flags, '-pthread', PROBES / f'{name}.c', '-o', tree / 'probe' / name)
    run('cc', '-m32', '-O1', '-nostdlib', '-static', '-fno-pic', '-fno-stack-protector', PROBES / 'i386.c', '-o', tree / 'probe/i386')
    for name in ('setuid', 'capable'):
        shutil.copy(tree / 'probe/isolation', tree / 'probe' / name)
    shutil.copy(PROBES / 'isolation.sh', tree / 'probe')
    (tree / 'etc/passwd').write_text('root:x:0:0::/:/bin/sh\nuser:x:1000:1000::/:/bin/sh\n')
    (tree / 'etc/group').write_text('root:x:0:\nuser:x:1000:\n')
    os.chmod(tree / 'tmp', 0o1777)
    os.chmod(tree / 'probe/setuid', 0o4755)
    os.setxattr(tree / 'probe/capable', 'security.capability', CAPABILITY)
    os.mknod(tree / 'node', 0o666 | stat.S_IFBLK, os.stat(loop).st_rdev)
    os.chmod(tree / 'node', 0o666)
    run('tar', '--xattrs', '--xattrs-include=security.capability', '-C', tree, '-cf', folder / 'tree.tar', '.')
    return folder / 'tree.tar'


@contextlib.contextmanager
def loop_device(folder):
    """A device with something on it that no container may read."""
    (folder / 'disk').write_bytes(b'secret of the host\n' * 4096)
    device = run('losetup', '-f', '--show', folder / 'disk').strip()
    try:
        yield device
    finally:
        run('losetup', '-d', device)


@contextlib.contextmanager
def docker_daemon(folder):
    (folder / 'daemon.json').write_text('{}')
    socket = f'unix://{folder}/docker.sock'
    with open(folder / 'dockerd.log', 'w') as log:
        daemon = subprocess.Popen(
            ['/usr/sbin/dockerd', '--data-root', folder / 'docker', '--exec-root', folder / 'docker-run', '-H', socket, '--pidfile',
             folder / 'docker.pid', '--iptables=false', '--ip6tables=false', '--bridge=none', '--config-file', folder / 'daemon.json'],
            stdout=log, stderr=log)
        os.environ['DOCKER_HOST'] = socket
        try:
            for _ in range(300):
                if daemon.poll() is not None:
                    sys.exit((folder / 'dockerd.log').read_text())
                if subprocess.run(['/usr/bin/docker', 'version'], capture_output=True).returncode == 0:
                    break
                time.sleep(0.1)
            yield
        finally:
            daemon.terminate()
            daemon.wait()


class Place:
    """The folders of one run: one to be read, with a mount inside, and one to be written."""

    def __init__(self, folder, name, user):
        self.folder = folder / f'at-{name}'
        self.data, self.out, self.user = self.folder / 'data', self.folder / 'out', user
        for path in (self.data / 'disk1', self.out):
            path.mkdir(parents=True)
        run('mount', '-t', 'tmpfs', '-o', 'mode=777', 'disk', self.data / 'disk1')
        (self.data / 'file').write_text('input\n')
        for path in (self.folder, self.data, self.out):
            os.chown(path, user, user)
        os.chmod(self.out, 0o777)

    def outputs(self):
        return {path.name: path for path in self.folder.rglob('*') if path.is_file() and path.name in ('suid', 'capable')
                and '.shoal' not in path.parts}

    def close(self):
        run('umount', self.data / 'disk1')


# ---- the engines ---------------------------------------------------------------------------

def docker(place, node, *more):
    return ['/usr/bin/docker', 'run', '--rm', '--network', 'none', '-e', f'NODE={node}', '-v', f'{place.data}:/data:ro', '-v',
            f'{place.out}:/out', *more, IMAGE, 'sh', INSIDE]


def restricted(place, node):
    return docker(place, node, '--user', '1000', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges')


def podman(place, node):
    """With runc, as Debian's crun refuses hosts whose control groups are of both versions. It asks for more than a sandbox may have."""
    limits = ['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=8192:8192']
    return ['podman', '--runtime', 'runc', 'run', '--rm', '--pull=never', *limits, '--network', 'none', '-e', f'NODE={node}', '-v',
            f'{place.data}:/data:ro', '-v', f'{place.out}:/out', IMAGE, 'sh', INSIDE]


def shoal(program, images, runtime='crun', user=0, as_user=None):
    def words(place, node):
        made = [program, 'run', '--images', images, '--oci-runtime', runtime, '--volume-shared', f'{place.data}:/data', '-o', 'out:/out',
                '-e', f'NODE={node}', '--results', place.out / 'r', '--quiet', '--log-limit', '10m', '--timeout', '2m']
        if as_user:
            made += ['--user', as_user]
        switch = ['setpriv', f'--reuid={user}', f'--regid={user}', '--clear-groups'] if user else []
        return [*switch, *made, 'isolation', 'sh', INSIDE]
    return words


def said(engine, place, node):
    """What the container said: its standard output, and for shoal the part's log."""
    secret = os.open('/etc/hostname', os.O_RDONLY)
    os.set_inheritable(secret, True)
    done = subprocess.run([str(word) for word in engine(place, node)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          pass_fds=[secret], env=os.environ | {'SECRET_OF_THE_HOST': 'yes'}, cwd=place.folder, timeout=300)
    os.close(secret)
    logs = list((place.out / 'r').rglob('stdout*')) if (place.out / 'r').exists() else []
    text = logs[0].read_text() if logs else done.stdout
    if '== system_calls' not in text:
        sys.exit(f'{engine}: {done.stdout}{done.stderr}{text}')
    return text


def sections(text):
    found, name = collections.defaultdict(list), None
    for line in text.splitlines():
        if line.startswith('== '):
            name = line[3:]
            found[name]
        else:
            found[name].append(line)
    return found


# ---- rows ----------------------------------------------------------------------------------

def capability_names(mask):
    names = re.findall(r'#define (CAP_\w+)\s+(\d+)$', pathlib.Path('/usr/include/linux/capability.h').read_text(), re.M)
    return {name for name, number in names if int(mask, 16) >> int(number) & 1}


class Report:
    def __init__(self, name, text, place):
        self.name, self.sections, self.place = name, sections(text), place
        self.common = set()  # capabilities of everybody who has any
        self.status = dict(line.split(':\t') for line in self.sections['status'])
        self.calls = [line.split() for line in self.sections['system_calls']]

    def capabilities(self, which):
        return capability_names(self.status[which])

    def passed(self, abi='x86_64'):
        """Numbers of calls that pass with arguments that are all 0."""
        first = {}
        for name, number, *_, verdict in self.calls:
            if name == abi:
                first.setdefault(int(number), verdict)
        return {number for number, verdict in first.items() if verdict == '0'}

    def families(self, abi='x86_64'):
        """Of which a socket can be asked for. The probe asks for each one after all numbers."""
        number = '359' if abi == 'i386' else '41'
        asked = [call for call in self.calls if call[0] == abi and call[1] == number and call[3] == '0'][1:]
        return {int(call[2]) for call in asked if call[4] == '0'}

    def mounts(self):
        for line in self.sections['mountinfo']:
            fields = line.split()
            yield fields[4], set(fields[5].split(',')), fields[fields.index('-') + 1]

    def namespaces(self):
        host = {name: os.readlink(f'/proc/self/ns/{name}') for name in os.listdir('/proc/self/ns')}
        return [name for name, link in (line.split() for line in self.sections['namespaces']) if host[name] != link]


def listed(items, nothing='none'):
    return ' '.join(sorted(items)) or nothing


def families(report):
    passed = report.families()
    missing = [name for family, name in FAMILIES.items() if family not in passed]
    return f'{len(passed)}, without {" ".join(missing)}' if missing else f'all {len(passed)}'


def capabilities(which):
    """Their number, and those that not everybody has who has any."""
    def say(report):
        had = report.capabilities(which)
        more = ' '.join(sorted(name.removeprefix('CAP_') for name in had - report.common))
        return f'{len(had)}, with {more}' if more else f'{len(had)}'
    return say


def set_uid(report):
    words = report.sections['set_uid'][0].split()
    if len(words) != 3 or not words[0].isdigit():
        return 'no other users'
    return 'root' if words[1] == '0' and words[0] != '0' else 'no effect'


def file_capability(report):
    words = report.sections['file_capability'][0].split()
    if len(words) != 3 or not words[0].isdigit():
        return 'no other users' if report.name.endswith('rootless') else 'does not start'
    return 'in effect' if int(words[2], 16) >> 7 & 1 and words[0] != '0' else 'no effect'


def node(section):
    def say(report):
        lines = report.sections[section]
        answers = {line.split(': ')[-1] for line in lines} - {'not made'}
        for answer, said in (('read', 'read'), ('empty', 'another file'), ('No such file or directory', 'left out')):
            if answer in answers:
                return said
        return 'refused' if answers else 'not made'
    return say


def output_bits(report):
    outputs = report.place.outputs()
    kept = []
    if 'suid' in outputs and os.stat(outputs['suid']).st_mode & stat.S_ISUID:
        kept.append(f"set-uid of user {os.stat(outputs['suid']).st_uid}")
    if 'capable' in outputs and 'security.capability' in os.listxattr(outputs['capable']):
        kept.append('a capability')
    return ', '.join(kept) or 'neither' if outputs else 'nothing written'


def processes(report):
    count = int(report.sections['processes'][0])
    return 'no limit' if count >= PROCESSES else f'{count}'


def mounts_without(flag):
    def say(report):
        places = {where: flags for where, flags, _ in report.mounts()}
        return listed(where for where in ('/', '/data', '/data/disk1', '/out') if where in places and flag not in places[where])
    return say


def control_groups(report):
    mounted = [flags for _, flags, kind in report.mounts() if kind in ('cgroup', 'cgroup2')]
    seen = {line.split(':', 2)[2] for line in report.sections['cgroup'] if line.count(':') >= 2}
    view = 'not mounted' if not mounted else 'writable' if any('rw' in flags for flags in mounted) else 'read-only'
    return f"{view}, path {'hidden' if seen == {'/'} else 'seen'}"


def network(report):
    given = {'Docker': 'a bridge to the outside', 'Podman': 'a bridge to the outside', 'restricted': "the cluster's"}
    return given.get(report.name) or ('none' if report.sections['network'] == ['lo'] else listed(report.sections['network']))


def host_user(report):
    user = int(report.sections['me'][0].split()[0])
    for line in report.sections['uid_map']:
        inside, outside, count = map(int, line.split())
        if inside <= user < inside + count:
            return f'{user}, on the host {outside + user - inside}'
    return f'{user}'


def answers(section, answer):
    def say(report):
        lines = report.sections[section]
        return listed(re.split('[: ]', line)[0] for line in lines if line.endswith(answer))
    return say


ROWS = [
    ('user', host_user),
    ('user namespace', lambda r: 'yes' if 'user' in r.namespaces() else 'no'),
    ('other namespaces', lambda r: ' '.join(name for name in r.namespaces() if name != 'user')),
    ('capabilities in effect', capabilities('CapEff')),
    ('capabilities that can be had', capabilities('CapBnd')),
    ('no_new_privs', lambda r: 'yes' if r.status['NoNewPrivs'] == '1' else 'no'),
    ('set-uid program of the image', set_uid),
    ('file capability of the image', file_capability),
    ('device node made inside', node('node_made')),
    ('device node of the image', node('node_of_image')),
    ('/dev beyond the usual', lambda r: listed(set(r.sections['dev']) - USUAL)),
    ('seccomp: x86_64 calls that pass', lambda r: f'{len(r.passed())}'),
    ('seccomp: socket families', families),
    ('socketcall of 32-bit programs', lambda r: 'refused' if 102 not in r.passed('i386') else 'every family'),
    ('user or mount namespace made inside', lambda r: listed(r.sections['unshare'], 'refused')),
    ('can be read in /proc and /dev', answers('open', ': read')),
    ('folders with something in them in /proc and /sys', lambda r: listed(line.split()[0] for line in r.sections['listed'] if line.split()[1] != '0')),
    ('can be opened to write in /proc and /sys', answers('written', ': opened')),
    ('control groups', control_groups),
    ('mounts without nodev', mounts_without('nodev')),
    ('mounts without nosuid', mounts_without('nosuid')),
    ('read-only volume, can be written', answers('volume', ' written')),
    ('network', network),
    ('processes at a time', processes),
    ('descriptors of the caller', lambda r: listed(line for line in r.sections['descriptors'] if 'hostname' in line)),
    ('variables of the caller', lambda r: listed(line for line in r.sections['environment'] if line.startswith('SECRET'))),
    ('set-uid bit and capability of outputs', output_bits),
]
PROCESSES = 5000
# Calls that Debian 12's headers don't know, from 451 on.
NEWER = ('cachestat fchmodat2 map_shadow_stack futex_wake futex_wait futex_requeue statmount listmount lsm_get_self_attr '
         'lsm_set_self_attr lsm_list_modules mseal setxattrat getxattrat listxattrat removexattrat').split()
USUAL = {'/dev'} | {f'/dev/{name}' for name in 'null zero full random urandom tty console ptmx pts pts/ptmx pts/0 shm fd stdin stdout stderr '
                    'core mqueue'.split()}


def versions():
    kernel = os.uname().release.split('-')[0]
    return (f"Docker {run('/usr/sbin/dockerd', '--version').split()[2].strip(',')}, {run('podman', '--version').strip()}, "
            f"{run('crun', '--version').splitlines()[0]}, {run('runc', '--version').splitlines()[0]}, Linux {kernel}, "
            f"cgroup v{2 if os.path.exists('/sys/fs/cgroup/cgroup.controllers') else 1}, {time.strftime('%Y-%m-%d')}")


def table(reports):
    lines = ['| | ' + ' | '.join(report.name for report in reports) + ' |', '|---' * (len(reports) + 1) + '|']
    lines += [f'| {name} | ' + ' | '.join(say(report) for report in reports) + ' |' for name, say in ROWS]
    return '\n'.join(lines)


def call_names():
    text = pathlib.Path('/usr/include/x86_64-linux-gnu/asm/unistd_64.h').read_text()
    names = {int(number): name for name, number in re.findall(r'#define __NR_(\w+)\s+(\d+)', text)}
    return names | {451 + index: name for index, name in enumerate(NEWER)}


def differences(reports):
    """What passes in a container of shoal's and not in one of the others'."""
    newest = {line.split()[0] for line in (here.parent / 'golden/seccomp/docker.txt').read_text().splitlines() if line.split()[1] == '0'}
    names = call_names()
    for ours in (report for report in reports if report.name.startswith('shoal')):
        for other in (report for report in reports if not report.name.startswith('shoal')):
            more = {names.get(number, str(number)) for number in ours.passed() - other.passed()}
            yield f"{ours.name} lets these calls pass, and {other.name} not: {listed(more)}"
            if more - newest:
                yield f"  NOT IN DOCKER'S NEWEST LIST: {listed(more - newest)}"
            if ours.families() - other.families():
                yield f'  SOCKET FAMILIES: {sorted(ours.families() - other.families())}'


def store_row(folder, user_folder):
    """Whether another user of the host can run what an image has."""
    lines = []
    for name, root in (('Docker', folder / 'docker'), ('Podman', pathlib.Path('/var/lib/containers/storage')), ('shoal', user_folder)):
        found = [path for path in root.rglob('probe/setuid') if path.is_file()]
        opened = [path for path in found if subprocess.run(['setpriv', '--reuid=1000', '--regid=1000', '--clear-groups', 'test', '-x', path]).returncode == 0]
        lines.append(f"{name}: a set-uid program of an image can{'' if opened else 'not'} be run by another user of the host")
    return lines


def import_all(folder, program, archive):
    run('/usr/bin/docker', 'import', archive, IMAGE)
    run('/usr/bin/docker', 'save', IMAGE, '-o', folder / 'image.tar')
    run('podman', 'load', '-q', '-i', folder / 'image.tar')
    os.chmod(folder / 'image.tar', 0o644)
    stores = {}
    for user in (0, NOBODY):
        stores[user] = folder / f'images-{user}'
        switch = ['setpriv', f'--reuid={user}', f'--regid={user}', '--clear-groups'] if user else []
        stores[user].mkdir()
        os.chown(stores[user], user, user)
        run(*switch, program, 'image', 'import', folder / 'image.tar', '--as', 'isolation', '--images', stores[user])
    return stores


def main():
    program = pathlib.Path(sys.argv[1]).resolve()
    raw = pathlib.Path(sys.argv[3]) if sys.argv[2:3] == ['--raw'] else None
    folder = pathlib.Path(tempfile.mkdtemp(prefix='shoal-isolation-', dir='/var/tmp'))
    os.chmod(folder, 0o755)
    # nobody can't read root's folders
    shutil.copy(program, folder / 'shoal')
    reports, places = [], []
    os.environ['XDG_CACHE_HOME'] = str(folder / 'cache')
    try:
        with loop_device(folder) as loop, docker_daemon(folder):
            number = os.stat(loop).st_rdev
            node_words = f'{os.major(number)} {os.minor(number)}'
            stores = import_all(folder, folder / 'shoal', make_image(folder, loop))
            root, rootless = (shoal(folder / 'shoal', stores[user], user=user) for user in (0, NOBODY))
            engines = [('Docker', docker, 0), ('Podman', podman, 0), ('restricted', restricted, 0), ('shoal', root, 0),
                       ('shoal with runc', shoal(folder / 'shoal', stores[0], 'runc'), 0),
                       ('shoal --user 1000', shoal(folder / 'shoal', stores[0], as_user='1000'), 0),
                       ('shoal rootless', rootless, NOBODY)]
            for name, engine, user in engines:
                place = Place(folder, re.sub('[^a-z]+', '-', name.lower()), user)
                places.append(place)
                text = said(engine, place, node_words)
                if raw:
                    raw.mkdir(exist_ok=True)
                    (raw / place.folder.name).write_text(text)
                reports.append(Report(name, text, place))
            common = set.intersection(*(had for report in reports if (had := report.capabilities('CapBnd'))))
            for report in reports:
                report.common = common
            print(versions(), end='\n\n')
            print('Capabilities that all have who have any:', listed(name.removeprefix('CAP_') for name in common), end='\n\n')
            print(table(reports), end='\n\n')
            print('\n'.join([*differences(reports), *store_row(folder, stores[0])]))
    finally:
        for place in places:
            place.close()
        subprocess.run(['podman', 'rmi', '-f', IMAGE], capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == '__main__':
    main()
