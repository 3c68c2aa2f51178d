// An OCI image archive: from one static binary, which becomes the entry point, or from a folder that is a root file system.
package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

const authorities = "/etc/ssl/certs/ca-certificates.crt"

// pack: REFERENCE ENTRYPOINT BINARY|TREE ARCHIVE [KEY=VALUE...]
func pack(args []string) error {
	if len(args) < 4 {
		return errors.New("usage: pack REFERENCE ENTRYPOINT BINARY|TREE ARCHIVE [KEY=VALUE...]")
	}
	reference, entrypoint, source, archive, environment := args[0], path.Clean(args[1]), args[2], args[3], args[4:]
	for _, variable := range environment {
		if name, _, found := strings.Cut(variable, "="); !found || name == "" {
			return fmt.Errorf("%q is not KEY=VALUE", variable)
		}
	}
	info, err := os.Stat(source)
	if err != nil {
		return err
	}
	// On disk and not in memory: a root file system has hundreds of megabytes.
	layer, err := os.CreateTemp(filepath.Dir(archive), "layer.*")
	if err != nil {
		return err
	}
	defer os.Remove(layer.Name())
	defer layer.Close()
	hash := sha256.New()
	content := tar.NewWriter(io.MultiWriter(layer, hash))
	if info.IsDir() {
		err = addTree(content, source, entrypoint)
	} else {
		err = addProgram(content, source, entrypoint)
		environment = append([]string{"PATH=/"}, environment...)
	}
	if err == nil {
		err = content.Close()
	}
	if err != nil {
		return err
	}
	file, err := os.Create(archive)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := writeImage(file, reference, entrypoint, environment, layer, fmt.Sprintf("%x", hash.Sum(nil))); err != nil {
		return err
	}
	return file.Close()
}

// addProgram makes the least that a program finds its way in.
func addProgram(content *tar.Writer, binary, entrypoint string) error {
	if err := isStatic(binary); err != nil {
		return err
	}
	program, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	trusted, err := os.ReadFile(authorities)
	if err != nil {
		return err
	}
	return addEntries(content, []entry{
		{"tmp/", 0o1777, nil},
		{"etc/", 0o755, nil}, {"etc/ssl/", 0o755, nil}, {"etc/ssl/certs/", 0o755, nil},
		{"etc/passwd", 0o644, []byte("root:x:0:0::/:\nnobody:x:65534:65534::/:\n")},
		{authorities[1:], 0o644, trusted},
		{entrypoint[1:], 0o755, program},
	})
}

// writeImage does not compress the layer: it goes to the same machine, and so its digest is also its diff id.
func writeImage(file io.Writer, reference, entrypoint string, environment []string, layer *os.File, digest string) error {
	size, err := layer.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if _, err := layer.Seek(0, io.SeekStart); err != nil {
		return err
	}
	blobs := []entry{}
	describe := func(mediaType, digest string, size int64) object {
		return object{"mediaType": mediaType, "digest": "sha256:" + digest, "size": size}
	}
	store := func(mediaType string, data []byte) object {
		digest := fmt.Sprintf("%x", sha256.Sum256(data))
		blobs = append(blobs, entry{"blobs/sha256/" + digest, 0o644, data})
		return describe(mediaType, digest, int64(len(data)))
	}
	const oci = "application/vnd.oci.image."
	content := describe(oci+"layer.v1.tar", digest, size)
	config := store(oci+"config.v1+json", encode(object{
		"architecture": runtime.GOARCH, "os": "linux",
		"config": object{"Entrypoint": []string{entrypoint}, "Env": environment},
		"rootfs": object{"type": "layers", "diff_ids": []any{content["digest"]}},
	}))
	manifest := store(oci+"manifest.v1+json", encode(object{
		"schemaVersion": 2, "mediaType": oci + "manifest.v1+json", "config": config, "layers": []any{content},
	}))
	manifest["annotations"] = object{"io.containerd.image.name": reference}
	image := tar.NewWriter(file)
	if err := addEntries(image, append([]entry{
		{"oci-layout", 0o644, []byte(`{"imageLayoutVersion": "1.0.0"}`)},
		{"index.json", 0o644, encode(object{"schemaVersion": 2, "manifests": []any{manifest}})},
	}, blobs...)); err != nil {
		return err
	}
	header := tar.Header{Name: "blobs/sha256/" + digest, Mode: 0o644, Size: size, ModTime: time.Unix(0, 0)}
	if err := image.WriteHeader(&header); err != nil {
		return err
	}
	if _, err := io.Copy(image, layer); err != nil {
		return err
	}
	return image.Close()
}

// isStatic refuses what would end in a pod with "no such file or directory" and no hint why.
func isStatic(binary string) error {
	file, err := elf.Open(binary)
	if err != nil {
		return fmt.Errorf("%s is no program for this system: %w", binary, err)
	}
	defer file.Close()
	if want := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[runtime.GOARCH]; file.Machine != want {
		return fmt.Errorf("%s is a program for %v, not for this machine", binary, file.Machine)
	}
	libraries, err := file.ImportedLibraries()
	if err != nil {
		return fmt.Errorf("%s: %w", binary, err)
	}
	for _, segment := range file.Progs {
		// A static position-independent program has a dynamic section but asks for no interpreter.
		if segment.Type == elf.PT_INTERP {
			interpreter, _ := io.ReadAll(segment.Open())
			return fmt.Errorf("%s is dynamically linked: it needs %s and %v, and an image holds nothing but the binary;"+
				" link it statically (Rust: -C target-feature=+crt-static, Go: CGO_ENABLED=0)",
				binary, bytes.TrimRight(interpreter, "\x00"), libraries)
		}
	}
	return nil
}

type entry struct {
	name string // a folder's ends in a slash
	mode int64
	data []byte
}

// addEntries writes no time and no owner, so that the same binary is the same image.
func addEntries(writer *tar.Writer, entries []entry) error {
	for _, e := range entries {
		header := tar.Header{Name: e.name, Mode: e.mode, Size: int64(len(e.data)), ModTime: time.Unix(0, 0)}
		if err := writer.WriteHeader(&header); err != nil {
			return err
		}
		if _, err := writer.Write(e.data); err != nil {
			return err
		}
	}
	return nil
}

func encode(value any) []byte {
	data, err := json.Marshal(value)
	if err != nil {
		panic(err) // only strings, numbers, maps and slices come in
	}
	return data
}
