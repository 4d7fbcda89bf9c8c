package main

import (
	"fmt"
	"os"
)

// receiptCommand is about receipts that people have downloaded.
type receiptCommand struct {
	Verify verifyReceipt `cmd:"" help:"Verify a receipt offline: that the signed log has the entry in it. Prints what the entry says."`
}

type verifyReceipt struct {
	File string `arg:"" type:"existingfile" help:"The receipt, a .tlog-proof file."`
	publicKeys
	JSON bool `name:"json" help:"Print the entry as one JSON object, as kassa events does."`
}

// Run needs no ledger and no network. Exit codes: exitFailed where the receipt proves
// nothing.
func (v verifyReceipt) Run(c *console) error {
	keys, err := v.keys()
	if err != nil {
		return err
	}
	proof, err := os.ReadFile(v.File)
	if err != nil {
		return unableError{fmt.Errorf("read the receipt: %w", err)}
	}
	proved, err := keys.Check(proof)
	if err != nil {
		return fmt.Errorf("%s: %w", v.File, err)
	}
	if v.JSON {
		return eventsCommand{JSON: true}.print(c.out, proved.Entry)
	}
	fmt.Fprintf(c.out, "The log %s, as signed with %d entries, has this one:\n", proved.Checkpoint.Origin, proved.Checkpoint.Head.Size)
	return eventsCommand{}.print(c.out, proved.Entry)
}
