package main

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// userID is the number of the user and of the group that the server runs as: that of memcached's official image, so that volumes and
// policies made for it fit.
const userID = 11211

// binDir is on the PATH of the image, and where memcached's official image has its program.
const binDir = "usr/local/bin"

// account is the user database of the image, for -u with a name.
const (
	accounts = "root:x:0:0:root:/:/sbin/nologin\nmemcache:x:11211:11211:ringcached:/:/sbin/nologin\n"
	groups   = "root:x:0:\nmemcache:x:11211:\n"
)

// machines are the architectures that programs are checked for.
var machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

// rootLayer is the only layer: all that is in the image.
func rootLayer(p programs, created time.Time) (v1.Layer, error) {
	var archive bytes.Buffer
	w := &rootWriter{tar: tar.NewWriter(&archive), created: created}
	w.dir("etc", 0o755)
	w.file("etc/passwd", 0o644, []byte(accounts))
	w.file("etc/group", 0o644, []byte(groups))
	w.dir("tmp", 0o1777)
	w.dir("usr", 0o755)
	w.dir("usr/local", 0o755)
	w.dir(binDir, 0o755)
	for _, name := range []string{"entrypoint", "ringcached"} {
		text, err := readProgram(filepath.Join(p.dir, name), p.platform.Architecture)
		if err != nil {
			return nil, err
		}
		w.file(binDir+"/"+name, 0o755, text)
	}
	w.link(binDir+"/memcached", "ringcached")
	licenses, err := os.ReadFile(filepath.Join(p.dir, "copyright"))
	if err != nil {
		return nil, err
	}
	for _, dir := range []string{"usr/share", "usr/share/doc", "usr/share/doc/ringcached"} {
		w.dir(dir, 0o755)
	}
	w.file("usr/share/doc/ringcached/copyright", 0o644, licenses)
	if w.err == nil {
		w.err = w.tar.Close()
	}
	if w.err != nil {
		return nil, w.err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(archive.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer))
}

// readProgram reads a program, which has to be one for this architecture and to need no libraries: the image has none.
func readProgram(path, architecture string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	program, err := elf.NewFile(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("%s is no program: %w", path, err)
	}
	if want, known := machines[architecture]; known && program.Machine != want {
		return nil, fmt.Errorf("%s is for %v, not for %s", path, program.Machine, architecture)
	}
	for _, segment := range program.Progs {
		if segment.Type == elf.PT_INTERP {
			return nil, fmt.Errorf("%s is not linked statically: build it with CGO_ENABLED=0", path)
		}
	}
	return text, nil
}

// rootWriter writes files that belong to root, all of one time. The first error stays.
type rootWriter struct {
	tar     *tar.Writer
	created time.Time
	err     error
}

func (w *rootWriter) dir(name string, mode int64) {
	w.add(tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode}, nil)
}

func (w *rootWriter) file(name string, mode int64, text []byte) {
	w.add(tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(text))}, text)
}

func (w *rootWriter) link(name, to string) {
	w.add(tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to, Mode: 0o777}, nil)
}

func (w *rootWriter) add(header tar.Header, text []byte) {
	if w.err != nil {
		return
	}
	header.ModTime, header.Format = w.created, tar.FormatUSTAR
	if w.err = w.tar.WriteHeader(&header); w.err == nil {
		_, w.err = w.tar.Write(text)
	}
}
