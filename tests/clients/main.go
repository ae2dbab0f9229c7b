// A client generated for Go against a node: one transaction, and every list. Prints what it was told.
package main

import (
	"context"
	"encoding/json"
	"log"
	"math"
	"os"

	"example.org/reader/momus"
)

func read[T any](answer T, _ any, err error) T {
	if err != nil {
		log.Fatalf("%T: %v", answer, err)
	}
	return answer
}

func main() {
	ctx, node := context.Background(), momus.NewAPIClient(momus.NewConfiguration())
	signed := momus.NewSignedTransaction(os.Args[1], os.Args[2], os.Args[3])
	sent := read(node.TransactionsAPI.SubmitTransaction(ctx).SignedTransaction(*signed).Wait("executed").Execute())
	again := read(node.TransactionsAPI.GetTransaction(ctx, sent.Digest).Execute())
	moved := again.Transfers[0]
	status := read(node.NodeAPI.GetStatus(ctx).Execute())
	read(node.LedgerAPI.ListBlocks(ctx).Limit(5).Execute())
	read(node.LedgerAPI.ListCheckpoints(ctx).Execute())
	read(node.LedgerAPI.ListTransactions(ctx).Execute())
	read(node.LedgerAPI.ListRejections(ctx).Execute())
	read(node.LedgerAPI.ListTransfers(ctx).Asset(moved.Asset).Execute())
	read(node.LedgerAPI.GetHeads(ctx).Execute())
	read(node.StateAPI.ListAssets(ctx).Execute())
	read(node.StateAPI.ListObjects(ctx).Execute())
	read(node.StateAPI.ListWrites(ctx).Execute())
	read(node.StateAPI.ListBalances(ctx).Execute())
	read(node.StateAPI.ListBalancesOfAddress(ctx, moved.GetSender()).Execute())
	read(node.NodeAPI.ListValidators(ctx).Execute())
	read(node.NodeAPI.ListDrills(ctx).Execute())
	read(node.NodeAPI.ListEvidence(ctx).Execute())
	read(node.NodeAPI.ListPeers(ctx).Execute())
	block := read(node.LedgerAPI.GetBlock(ctx, again.GetHeight()).Execute())
	far := read(node.LedgerAPI.ListTransactions(ctx).Height(math.MaxInt64).Execute())
	balance := read(node.StateAPI.GetBalance(ctx, moved.GetRecipient(), moved.Asset).Execute())
	_, missing, _ := node.LedgerAPI.GetBlock(ctx, math.MaxInt64).Execute()
	since := map[string]int64{}
	for _, process := range status.Processes {
		since[process.Name] = process.SinceMs
	}
	json.NewEncoder(os.Stdout).Encode(map[string]any{
		"digest": again.Digest, "state": again.State, "height": block.Height, "offset": again.GetOffset(),
		"amount": moved.Amount, "balance": balance.Amount, "since_ms": since, "far": len(far.Items),
		"missing": missing.StatusCode,
	})
}
