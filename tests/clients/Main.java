// A client generated for Java against a node: one transaction, and every list. Prints what it was told.

import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.Map;
import java.util.stream.Collectors;
import momus.ApiException;
import momus.api.LedgerApi;
import momus.api.NodeApi;
import momus.api.StateApi;
import momus.api.TransactionsApi;
import momus.model.ProcessState;
import momus.model.SignedTransaction;

public class Main {
    public static void main(String[] words) throws Exception {
        var transactions = new TransactionsApi();
        var ledger = new LedgerApi();
        var state = new StateApi();
        var node = new NodeApi();
        var signed = new SignedTransaction().body(words[0]).publicKey(words[1]).signature(words[2]);
        var sent = transactions.submitTransaction(signed, "executed", null);
        var again = transactions.getTransaction(sent.getDigest());
        var moved = again.getTransfers().get(0);
        var status = node.getStatus();
        ledger.listBlocks(5L, null, null);
        ledger.listCheckpoints(null, null, null);
        ledger.listTransactions(null, null, null, null, null);
        ledger.listRejections(null, null, null, null, null);
        ledger.listTransfers(null, null, null, null, moved.getAsset());
        ledger.getHeads();
        state.listAssets(null, null, null);
        state.listObjects(null, null, null);
        state.listWrites(null, null, null);
        state.listBalances(null, null, null, null);
        state.listBalancesOfAddress(moved.getSender(), null, null, null);
        node.listValidators();
        node.listDrills(null, null, null);
        node.listEvidence();
        node.listPeers();
        var block = ledger.getBlock(again.getHeight());
        var far = ledger.listTransactions(null, null, null, Long.MAX_VALUE, null);
        var balance = state.getBalance(moved.getRecipient(), moved.getAsset(), null);
        System.out.println(new ObjectMapper().writeValueAsString(Map.of(
            "digest", again.getDigest(), "state", again.getState(), "height", block.getHeight(),
            "offset", again.getOffset(), "amount", moved.getAmount(), "balance", balance.getAmount(),
            "since_ms", status.getProcesses().stream()
                .collect(Collectors.toMap(ProcessState::getName, ProcessState::getSinceMs)),
            "far", far.getItems().size(), "missing", missing(ledger))));
    }

    private static int missing(LedgerApi ledger) {
        try {
            ledger.getBlock(Long.MAX_VALUE);
            return 200;
        } catch (ApiException error) {
            return error.getCode();
        }
    }
}
