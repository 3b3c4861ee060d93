// SPDX-License-Identifier: Apache-2.0

// Verifies and makes cosignatures with the reference implementation of signed notes, golang.org/x/mod/sumdb/note.
//
//	cosignature verify LOG_VKEY WITNESS_VKEY < NOTE   prints the time of the cosignature
//	cosignature sign NAME SEED_HEX TIME < NOTE        prints the verifier key and the note with one line more
//	cosignature proof OLD NEW OLD_ROOT NEW_ROOT HASH...  verifies a consistency proof (sumdb/tlog)
//
// What a cosignature is signed over is written here anew from C2SP tlog-cosignature, not taken from Comity.
package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const cosignatureType = 4

type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
	priv ed25519.PrivateKey
	time uint64
}

func message(time uint64, text []byte) []byte {
	return append([]byte(fmt.Sprintf("cosignature/v1\ntime %d\n", time)), text...)
}

func (c *cosigner) Name() string    { return c.name }
func (c *cosigner) KeyHash() uint32 { return c.hash }

func (c *cosigner) Verify(text, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	c.time = binary.BigEndian.Uint64(sig)
	return ed25519.Verify(c.key, message(c.time, text), sig[8:])
}

func (c *cosigner) Sign(text []byte) ([]byte, error) {
	return append(binary.BigEndian.AppendUint64(nil, c.time), ed25519.Sign(c.priv, message(c.time, text))...), nil
}

func keyHash(name string, key []byte) uint32 {
	h := sha256.Sum256(append([]byte(name+"\n"), key...))
	return binary.BigEndian.Uint32(h[:])
}

func parseCosigner(vkey string) (*cosigner, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return nil, errors.New("not a verifier key")
	}
	key, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(key) != 33 || key[0] != cosignatureType {
		return nil, errors.New("not the key of a witness")
	}
	hash := keyHash(parts[0], key)
	if fmt.Sprintf("%08x", hash) != parts[1] {
		return nil, errors.New("the hash is another")
	}
	return &cosigner{name: parts[0], hash: hash, key: key[1:]}, nil
}

func verify(logKey, witnessKey string, data []byte) {
	logVerifier, err := note.NewVerifier(logKey)
	check(err)
	witness, err := parseCosigner(witnessKey)
	check(err)
	opened, err := note.Open(data, note.VerifierList(logVerifier, witness))
	check(err)
	if len(opened.Sigs) != 2 {
		log.Fatalf("%d signatures by known keys", len(opened.Sigs))
	}
	fmt.Println(witness.time)
}

func sign(name, seed, when string, data []byte) {
	raw, err := hex.DecodeString(seed)
	check(err)
	priv := ed25519.NewKeyFromSeed(raw)
	key := append([]byte{cosignatureType}, priv.Public().(ed25519.PublicKey)...)
	time, err := strconv.ParseUint(when, 10, 64)
	check(err)
	opened, err := note.Open(data, note.VerifierList())
	var unverified *note.UnverifiedNoteError
	if !errors.As(err, &unverified) {
		check(err)
		log.Fatal("verified by nobody's key")
	}
	_ = opened
	signed, err := note.Sign(unverified.Note, &cosigner{name: name, hash: keyHash(name, key), priv: priv, time: time})
	check(err)
	fmt.Printf("%s+%08x+%s\n%s", name, keyHash(name, key), base64.StdEncoding.EncodeToString(key), signed)
}

func proof(arguments []string) {
	old, err := strconv.ParseInt(arguments[0], 10, 64)
	check(err)
	grown, err := strconv.ParseInt(arguments[1], 10, 64)
	check(err)
	var hashes []tlog.Hash
	for _, text := range arguments[2:] {
		hash, err := tlog.ParseHash(text)
		check(err)
		hashes = append(hashes, hash)
	}
	check(tlog.CheckTree(hashes[2:], grown, hashes[1], old, hashes[0]))
	fmt.Println("ok")
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	if os.Args[1] == "proof" {
		proof(os.Args[2:])
		return
	}
	data, err := io.ReadAll(os.Stdin)
	check(err)
	if os.Args[1] == "verify" {
		verify(os.Args[2], os.Args[3], data)
	} else {
		sign(os.Args[2], os.Args[3], os.Args[4], data)
	}
}
