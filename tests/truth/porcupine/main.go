// Tells whether a history of calls is linearizable: read from stdin as JSON, answered on stdout.
//
// A history is a list of operations on things: an alias of an asset, or the counter of its versions.
// Each thing is checked by itself. A write whose answer was lost ("unknown") stays open to the end,
// and may or may not have happened.
//
// The answer is {"alias": "ok", "counter": "illegal"}, or "unknown" where the time ran out.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/anishathalye/porcupine"
)

const patience = 60 * time.Second

// Operation is one call. Times are of one clock that never runs back.
type Operation struct {
	Client int    `json:"client"`
	Thing  string `json:"thing"` // alias, or counter
	Kind   string `json:"kind"`  // set and read an alias; create and read of a counter
	Call   int64  `json:"call"`
	Return int64  `json:"return"`

	// What was asked: to point at this version if the alias has this etag ("" for any).
	Number int    `json:"number"`
	Etag   string `json:"etag"`

	// What came back: the version or count, and the alias's etag ("" where it is not told).
	Outcome   string `json:"outcome"` // ok, mismatch or unknown
	GotNumber int    `json:"got_number"`
	GotEtag   string `json:"got_etag"`
}

// An alias points to a version, and has an etag. Which one, after a write whose answer was lost,
// is not known: any but the one before.
type alias struct {
	number    int
	etag      string
	isUnknown bool
}

func (now alias) mayHave(etag string) bool {
	return (etag == now.etag) != now.isUnknown
}

// States that an alias may be in after an operation; none where it can't have answered so.
func (now alias) after(op Operation) []interface{} {
	same := []interface{}{now}
	isAllowed := op.Etag == "" || now.mayHave(op.Etag)
	switch {
	case op.Kind == "read":
		if op.GotNumber != now.number {
			return nil
		}
		if op.GotEtag == "" {
			return same
		}
		return now.told(op.GotEtag)
	case op.Outcome == "mismatch":
		if op.Etag == now.etag && !now.isUnknown {
			return nil
		}
		return same
	case op.Outcome == "unknown":
		if !isAllowed || op.Number == now.number {
			return same
		}
		return []interface{}{now, alias{op.Number, now.etag, true}}
	case !isAllowed || op.GotNumber != op.Number:
		return nil
	case op.Number == now.number: // nothing to change
		return now.told(op.GotEtag)
	case op.GotEtag == now.etag:
		return nil
	}
	return []interface{}{alias{op.Number, op.GotEtag, false}}
}

func (now alias) told(etag string) []interface{} {
	if !now.mayHave(etag) {
		return nil
	}
	return []interface{}{alias{now.number, etag, false}}
}

// A count of versions, where a create gets the next number and no other.
type counter int

func (now counter) after(op Operation) []interface{} {
	switch {
	case op.Kind == "create" && op.Outcome == "unknown":
		return []interface{}{now, now + 1}
	case op.Kind == "create" && op.GotNumber == int(now)+1:
		return []interface{}{now + 1}
	case op.Kind == "read" && op.GotNumber == int(now):
		return []interface{}{now}
	}
	return nil
}

type thing interface {
	after(op Operation) []interface{}
}

var beginnings = map[string]thing{"alias": alias{0, "-", false}, "counter": counter(0)}

func check(beginning thing, history []porcupine.Operation) porcupine.CheckResult {
	model := porcupine.NondeterministicModel{
		Init: func() []interface{} { return []interface{}{beginning} },
		Step: func(state, input, _ interface{}) []interface{} {
			return state.(thing).after(input.(Operation))
		},
	}
	return porcupine.CheckOperationsTimeout(model.ToModel(), history, patience)
}

func main() {
	var history []Operation
	if err := json.NewDecoder(os.Stdin).Decode(&history); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	of := map[string][]porcupine.Operation{}
	for _, op := range history {
		of[op.Thing] = append(of[op.Thing], porcupine.Operation{
			ClientId: op.Client, Input: op, Call: op.Call, Return: op.Return,
		})
	}
	answer := map[string]string{}
	for name, operations := range of {
		result := check(beginnings[name], operations)
		answer[name] = map[porcupine.CheckResult]string{
			porcupine.Ok: "ok", porcupine.Illegal: "illegal", porcupine.Unknown: "unknown",
		}[result]
	}
	if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
		os.Exit(2)
	}
}
