// The layer of an image that is a whole root file system.
package main

import (
	"archive/tar"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// addTree writes everything in the folder root, in the order of the names, without times; all of it is root's.
func addTree(content *tar.Writer, root, entrypoint string) error {
	if _, err := os.Lstat(filepath.Join(root, entrypoint)); err != nil {
		return fmt.Errorf("the entry point: %w", err)
	}
	return filepath.WalkDir(root, func(file string, found fs.DirEntry, err error) error {
		if err != nil || file == root {
			return err
		}
		info, err := found.Info()
		if err != nil {
			return err
		}
		target := ""
		switch info.Mode().Type() {
		case fs.ModeDir, 0:
		case fs.ModeSymlink:
			if target, err = os.Readlink(file); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%s is neither file nor folder nor link", file)
		}
		name, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		made, err := tar.FileInfoHeader(info, target)
		if err != nil {
			return err
		}
		if info.IsDir() {
			name += "/"
		}
		header := tar.Header{
			Typeflag: made.Typeflag, Name: name, Linkname: target, Mode: made.Mode, Size: made.Size, ModTime: time.Unix(0, 0),
		}
		if err := content.WriteHeader(&header); err != nil || !info.Mode().IsRegular() {
			return err
		}
		data, err := os.Open(file)
		if err != nil {
			return err
		}
		defer data.Close()
		_, err = io.Copy(content, data)
		return err
	})
}
