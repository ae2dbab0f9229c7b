// A client generated for TypeScript against a node: one transaction, and every list. Prints what it was told.

import { LedgerApi, NodeApi, ResponseError, StateApi, TransactionsApi } from "./momus";

declare const process: { argv: string[] };

async function main(body: string, publicKey: string, signature: string): Promise<void> {
  const transactions = new TransactionsApi();
  const ledger = new LedgerApi();
  const state = new StateApi();
  const node = new NodeApi();
  const signedTransaction = { body, publicKey, signature };
  const sent = await transactions.submitTransaction({ signedTransaction, wait: "executed" });
  const again = await transactions.getTransaction({ digest: sent.digest });
  const moved = again.transfers![0]!;
  const status = await node.getStatus();
  await ledger.listBlocks({ limit: 5 });
  await ledger.listCheckpoints();
  await ledger.listTransactions();
  await ledger.listRejections();
  await ledger.listTransfers({ asset: moved.asset });
  await ledger.getHeads();
  await state.listAssets();
  await state.listObjects();
  await state.listWrites();
  await state.listBalances();
  await state.listBalancesOfAddress({ address: moved.sender! });
  await node.listValidators();
  await node.listDrills();
  await node.listEvidence();
  await node.listPeers();
  const block = await ledger.getBlock({ height: again.height! });
  const far = await ledger.listTransactions({ height: Number.MAX_SAFE_INTEGER });
  const balance = await state.getBalance({ address: moved.recipient!, asset: moved.asset });
  const missing = await ledger.getBlock({ height: Number.MAX_SAFE_INTEGER }).then(
    () => 200,
    (error: ResponseError) => error.response.status,
  );
  const since_ms = Object.fromEntries(status.processes.map((each) => [each.name, each.sinceMs]));
  const { digest, offset } = again;
  const told = { digest, state: again.state, height: block.height, offset, amount: moved.amount };
  console.log(JSON.stringify({ ...told, balance: balance.amount, since_ms, far: far.items.length, missing }));
}

main(process.argv[2]!, process.argv[3]!, process.argv[4]!);
