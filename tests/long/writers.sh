#!/bin/bash
# Images that ko and jib write, and layers of estargz, which crane writes: root file system and environment as podman has them.
# Builds ko and crane; Maven brings jib.
. "$(dirname "$0")/../lib/e2e.sh" "$@"
here=$(cd "$E2E_LIB/../.." && pwd)
. "$E2E_LIB/image_trees.sh"
"$here/tools/install.sh" test run registry npm
built=${XDG_CACHE_HOME:-$HOME/.cache}/shoal
brought () { # NAME MODULE
  [ -x "$built/$1/$1" ] || GOBIN=$built/$1 go install "$2"
}
brought crane github.com/google/go-containerregistry/cmd/crane@v0.20.2
brought ko github.com/google/ko@v0.18.0
crane=$built/crane/crane
own_store busybox
export CONTAINERS_STORAGE_CONF=$PWD/storage.conf
printf '[storage]\ndriver = "vfs"\ngraphroot = "%s/graph"\nrunroot = "%s/run"\n' "$PWD" "$PWD" >storage.conf
make_files in 1
# crun 1.8 fails for every container where it sees version 2 of control groups beside version 1.
apart=(unshare --mount bash -c 'umount -l /sys/fs/cgroup/unified 2>/dev/null; exec "$@"' -)
common () { grep -vE '^(HOSTNAME|TERM|container|SHOAL_[A-Z_]*|HOME|TRACEPARENT)=' "$1" | LC_ALL=C sort; }

# What podman makes of its IMAGE: a tree, and what its command, which prints its environment, prints.
seen_by_podman () { # IMAGE FILE VARIABLE: what it has, among others
  local mounted
  podman create -q --name seen "$1" >/dev/null
  mounted=$(podman mount seen)
  tree "$mounted" >podman.tree
  podman umount seen >/dev/null
  podman rm seen >/dev/null
  expect_true "podman's own tree has $2" grep -q "^./$2 f " podman.tree
  "${apart[@]}" podman run --rm --cgroups=disabled --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --network none "$1" >podman.env 2>podman.err
  expect_true "… and the image's variable" grep -q "^$3=" podman.env
}
n=0
same () { # WHAT SOURCE
  same_tree "$1" "$2" "podman's" podman.tree
  expect_exit 0 "… it runs" "$SHOAL" run -q -v in:/in -o o:/out --results "r$((n += 1))" this
  expect_same "… its environment is podman's" "$(common podman.env)" "$(common "r$n/stdout")"
  expect_exit 0 "… and goes" "$SHOAL" image remove this
}

# ---- jib
mkdir -p jib/src/main/java jib/root/bin jib/root/data
umoci raw unpack --image "$E2E_CACHE/layouts/busybox:latest" busybox >/dev/null 2>&1
cp busybox/bin/busybox jib/root/bin/busybox
echo one >jib/root/data/one
cat >jib/src/main/java/Hello.java <<'END'
public class Hello
{
  public static void main (String[] words)
  {
    System.out.println ("hello");
  }
}
END
cat >jib/pom.xml <<'END'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>tests</groupId>
  <artifactId>hello</artifactId>
  <version>1</version>
  <properties>
    <maven.compiler.source>11</maven.compiler.source>
    <maven.compiler.target>11</maven.compiler.target>
    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
  </properties>
  <build>
    <plugins>
      <plugin>
        <groupId>com.google.cloud.tools</groupId>
        <artifactId>jib-maven-plugin</artifactId>
        <version>3.4.4</version>
        <configuration>
          <from><image>scratch</image></from>
          <extraDirectories>
            <paths>root</paths>
            <permissions>
              <permission><file>/bin/busybox</file><mode>755</mode></permission>
              <permission><file>/data</file><mode>700</mode></permission>
            </permissions>
          </extraDirectories>
          <container>
            <entrypoint>/bin/busybox,env</entrypoint>
            <environment><FIRST>1</FIRST><WITH>a b=c "d"</WITH></environment>
            <workingDirectory>/app</workingDirectory>
            <user>1234:4321</user>
          </container>
        </configuration>
      </plugin>
    </plugins>
  </build>
</project>
END
for format in Docker OCI; do
  expect_exit 0 "jib builds, format $format" mvn -q -B -f jib/pom.xml compile jib:buildTar -Djib.to.image=localhost/jib:1 \
    -Djib.container.format=$format -Djib.outputPaths.tar="$PWD/jib-$format.tar"
  podman load -q -i "jib-$format.tar" >/dev/null
  seen_by_podman localhost/jib:1 app/classes/Hello.class FIRST
  same "jib's archive, format $format" "jib-$format.tar"
  podman rmi -f localhost/jib:1 >/dev/null
done

# ---- ko, which builds upon an image of a registry
printf 'version: 0.1\nlog: {level: info}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "127.0.0.1:0"}\n' "$PWD/registry" >registry.yml
docker-registry serve registry.yml >registry.log 2>&1 &
at_end "kill -9 $! || true"
wait_for "the registry" grep -q 'listening on' registry.log
address=localhost:$(grep -oE 'listening on 127.0.0.1:[0-9]+' registry.log | grep -oE '[0-9]+$')
"$crane" push --insecure jib-Docker.tar "$address/plain:1" >/dev/null 2>&1
mkdir -p ko/kodata
echo data >ko/kodata/data.txt
printf 'module tests.example/tool\n\ngo 1.19\n' >ko/go.mod
cat >ko/main.go <<'END'
package main

import (
	"fmt"
	"os"
)

func main() {
	for _, variable := range os.Environ() {
		fmt.Println(variable)
	}
}
END
ko () {
  (cd ko && KO_DOCKER_REPO=localhost/ko KO_DEFAULTBASEIMAGE=$address/plain:1 "$built/ko/ko" build --bare --sbom=none --push=false \
    --platform "linux/$(go env GOARCH)" "$@" .)
}
expect_exit 0 "ko builds an archive" ko --tarball "$PWD/ko.tar"
expect_exit 0 "ko builds a layout" ko --oci-layout-path ../ko-layout
loaded=$(podman load -q -i ko.tar)
seen_by_podman "${loaded##*: }" var/run/ko/data.txt KO_DATA_PATH
same "ko's archive" ko.tar
same "ko's layout" ko-layout

# ---- estargz: an archive with a list of itself, which lazy readers begin with; for all others a layer as any
mkdir -p upper/data
echo two >upper/data/two
ln upper/data/two upper/data/hard
ln -s two upper/data/soft
chown 1234:4321 upper/data/two
chmod 4750 upper/data/two
tar -C upper --numeric-owner -cf upper.tar .
expect_exit 0 "crane writes a layer of estargz" env GGCR_EXPERIMENT_ESTARGZ=1 "$crane" append --insecure -b "$address/plain:1" -f upper.tar \
  -t "$address/tool:1"
expect_true "… which has its list" eval '"$crane" manifest --insecure "$address/tool:1" | python3 -c "import json, sys
sys.exit(\"containerd.io/snapshot/stargz/toc.digest\" not in json.load(sys.stdin)[\"layers\"][-1][\"annotations\"])"'
podman pull -q --tls-verify=false "$address/tool:1" >/dev/null
seen_by_podman "$address/tool:1" stargz.index.json FIRST
"$crane" pull --insecure --format oci "$address/tool:1" estargz 2>/dev/null
"$crane" pull --insecure --format tarball "$address/tool:1" estargz.tar 2>/dev/null
same "estargz in a layout" estargz
same "estargz in an archive" estargz.tar
expect_true "podman's own tree has the layer" grep -q './data/hard f 4750 1234:4321' podman.tree
expect_exit 0 "estargz from a registry" "$SHOAL" image pull --tls-verify=false "$address/tool:1" --as this
tree "$(find store/images -mindepth 1 -maxdepth 1)/rootfs" >shoal.tree
expect_true "… its root file system is podman's" diff podman.tree shoal.tree
