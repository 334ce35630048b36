package image

import (
	"fmt"
	"slices"
	"strings"
)

// The names of the images that every cluster has.
const (
	PauseName   = "keyturn.dev/pause:local"
	BusyboxName = "docker.io/library/busybox:1.36"
)

// Pause is the image of the process that keeps a pod's namespaces, made of that static program.
func Pause(program []byte) Image {
	return Image{
		Name:    PauseName,
		Command: []string{"/pause"},
		Files:   []File{{Path: "pause", Content: program, Mode: 0o755}},
	}
}

// Busybox is an image with the programs (applets) of that static busybox. It has the name that manifests use for the one
// of Docker's library, so that those run unchanged.
func Busybox(program []byte, applets []string) Image {
	files := []File{
		{Path: "bin/", Mode: 0o755},
		{Path: "etc/", Mode: 0o755},
		{Path: "root/", Mode: 0o700},
		{Path: "tmp/", Mode: 0o1777},
		{Path: "usr/", Mode: 0o755},
		{Path: "usr/bin/", Mode: 0o755},
		{Path: "var/", Mode: 0o755},
		{Path: "etc/passwd", Content: []byte("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"), Mode: 0o644},
		{Path: "etc/group", Content: []byte("root:x:0:\nnogroup:x:65534:\n"), Mode: 0o644},
		{Path: "bin/busybox", Content: program, Mode: 0o755},
		{Path: "usr/bin/env", Link: "/bin/busybox"},
	}
	for _, applet := range slices.Sorted(slices.Values(applets)) {
		if applet != "busybox" && !strings.Contains(applet, "/") {
			files = append(files, File{Path: fmt.Sprintf("bin/%s", applet), Link: "busybox", Mode: 0o777})
		}
	}
	return Image{Name: BusyboxName, Command: []string{"sh"}, Files: files}
}
