// Checks an export of the log, and a proof, by what the Go project checks its own log with: nothing of
// modelkeep's.
//
//	auditor export FOLDER KEY
//	auditor proof KEY < PROOF.json
package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	var err error
	if os.Args[1] == "export" {
		err = export(os.Args[2], os.Args[3])
	} else {
		err = proof(os.Args[2])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// open checks a signed checkpoint, and reads the size and the root of its tree.
func open(signed []byte, key string) (int64, tlog.Hash, error) {
	var root tlog.Hash
	verifier, err := note.NewVerifier(strings.TrimSpace(key))
	if err != nil {
		return 0, root, err
	}
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return 0, root, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		return 0, root, errors.New("not the checkpoint of this log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return 0, root, err
	}
	root, err = tlog.ParseHash(lines[2])
	return size, root, err
}

func export(folder, key string) error {
	signed, err := os.ReadFile(filepath.Join(folder, "checkpoint"))
	if err != nil {
		return err
	}
	size, root, err := open(signed, key)
	if err != nil {
		return err
	}
	file, err := os.Open(filepath.Join(folder, "leaves"))
	if err != nil {
		return err
	}
	defer file.Close()
	var hashes []tlog.Hash
	stored := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var found []tlog.Hash
		for _, index := range indexes {
			found = append(found, hashes[index])
		}
		return found, nil
	})
	reader := bufio.NewReader(file)
	for number := int64(0); ; number++ {
		length, err := binary.ReadUvarint(reader)
		if err == io.EOF {
			if number != size {
				return fmt.Errorf("%d leaves, and the checkpoint has %d", number, size)
			}
			break
		}
		if err != nil {
			return err
		}
		leaf := make([]byte, length)
		if _, err := io.ReadFull(reader, leaf); err != nil {
			return err
		}
		more, err := tlog.StoredHashes(number, leaf, stored)
		if err != nil {
			return err
		}
		hashes = append(hashes, more...)
	}
	found, err := tlog.TreeHash(size, stored)
	if err != nil {
		return err
	}
	if !bytes.Equal(found[:], root[:]) {
		return errors.New("the leaves are not what the checkpoint says")
	}
	return nil
}

func proof(key string) error {
	var shown struct {
		Leaf       string   `json:"leaf"`
		Index      int64    `json:"index"`
		Hashes     []string `json:"hashes"`
		Checkpoint struct {
			Note string `json:"note"`
		} `json:"checkpoint"`
	}
	if err := json.NewDecoder(os.Stdin).Decode(&shown); err != nil {
		return err
	}
	size, root, err := open([]byte(shown.Checkpoint.Note), key)
	if err != nil {
		return err
	}
	leaf, err := hex.DecodeString(shown.Leaf)
	if err != nil {
		return err
	}
	var path tlog.RecordProof
	for _, text := range shown.Hashes {
		var hash tlog.Hash
		raw, err := hex.DecodeString(text)
		if err != nil {
			return err
		}
		copy(hash[:], raw)
		path = append(path, hash)
	}
	return tlog.CheckRecord(path, size, root, shown.Index, tlog.RecordHash(leaf))
}
