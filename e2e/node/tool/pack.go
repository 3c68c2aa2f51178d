// An OCI image archive from one static binary, which becomes the entry point.
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
	"runtime"
	"time"
)

const authorities = "/etc/ssl/certs/ca-certificates.crt"

// pack: REFERENCE ENTRYPOINT BINARY ARCHIVE
func pack(args []string) error {
	if len(args) != 4 {
		return errors.New("usage: pack REFERENCE ENTRYPOINT BINARY ARCHIVE")
	}
	reference, entrypoint, binary, archive := args[0], args[1], args[2], args[3]
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
	layer, err := tarball([]entry{
		{"tmp/", 0o1777, nil},
		{"etc/", 0o755, nil}, {"etc/ssl/", 0o755, nil}, {"etc/ssl/certs/", 0o755, nil},
		{"etc/passwd", 0o644, []byte("root:x:0:0::/:\nnobody:x:65534:65534::/:\n")},
		{authorities[1:], 0o644, trusted},
		{path.Clean(entrypoint)[1:], 0o755, program},
	})
	if err != nil {
		return err
	}

	// The layer is not compressed: it goes to the same machine, and so its digest is also its diff id.
	blobs := []entry{}
	store := func(mediaType string, data []byte) object {
		digest := fmt.Sprintf("%x", sha256.Sum256(data))
		blobs = append(blobs, entry{"blobs/sha256/" + digest, 0o644, data})
		return object{"mediaType": mediaType, "digest": "sha256:" + digest, "size": len(data)}
	}
	const oci = "application/vnd.oci.image."
	content := store(oci+"layer.v1.tar", layer)
	config := store(oci+"config.v1+json", encode(object{
		"architecture": runtime.GOARCH, "os": "linux",
		"config": object{"Entrypoint": []string{entrypoint}, "Env": []string{"PATH=/"}},
		"rootfs": object{"type": "layers", "diff_ids": []any{content["digest"]}},
	}))
	manifest := store(oci+"manifest.v1+json", encode(object{
		"schemaVersion": 2, "mediaType": oci + "manifest.v1+json", "config": config, "layers": []any{content},
	}))
	manifest["annotations"] = object{"io.containerd.image.name": reference}
	image, err := tarball(append([]entry{
		{"oci-layout", 0o644, []byte(`{"imageLayoutVersion": "1.0.0"}`)},
		{"index.json", 0o644, encode(object{"schemaVersion": 2, "manifests": []any{manifest}})},
	}, blobs...))
	if err != nil {
		return err
	}
	return os.WriteFile(archive, image, 0o644)
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

// tarball has no time and no owner in it, so that the same binary is the same image.
func tarball(entries []entry) ([]byte, error) {
	var buffer bytes.Buffer
	writer := tar.NewWriter(&buffer)
	for _, e := range entries {
		header := tar.Header{Name: e.name, Mode: e.mode, Size: int64(len(e.data)), ModTime: time.Unix(0, 0)}
		if err := writer.WriteHeader(&header); err != nil {
			return nil, err
		}
		if _, err := writer.Write(e.data); err != nil {
			return nil, err
		}
	}
	err := writer.Close()
	return buffer.Bytes(), err
}

func encode(value any) []byte {
	data, err := json.Marshal(value)
	if err != nil {
		panic(err) // only strings, numbers, maps and slices come in
	}
	return data
}
