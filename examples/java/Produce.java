// One transaction for Momus, from Java 17, with nothing but the Kafka client and the JDK. It follows docs/producing.md
// step by step and shares no code with Momus.
//
//   java -cp '<folder of the kafka-clients jars>/*' examples/java/Produce.java \
//        BOOTSTRAP_SERVERS GENESIS_JSON [SEED_HEX_32_BYTES] [TEXT]
//
// It creates an object that holds a small JSON document, prints the transaction's digest and position, and exits.

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.security.Signature;
import java.security.spec.NamedParameterSpec;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Properties;
import java.util.regex.Pattern;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class Produce {
    static final long VALID_FOR_MS = 10 * 60 * 1000; // at most the chain's window_ms
    static final int CREATE_OBJECT = 4; // the fifth branch of the union of commands

    public static void main(String[] arguments) throws Exception {
        if (arguments.length < 2) {
            System.err.println("usage: Produce.java BOOTSTRAP_SERVERS GENESIS_JSON [SEED_HEX] [TEXT]");
            System.exit(2);
        }
        byte[] genesisFile = Files.readAllBytes(Path.of(arguments[1]));
        byte[] seed = arguments.length > 2 ? HexFormat.of().parseHex(arguments[2]) : randomBytes(32);
        String text = arguments.length > 3 ? arguments[3] : "hello from Java";

        // 1. The chain: its digest, and where its transactions go.
        byte[] genesis = sha256(ascii("momus/genesis/v1"), genesisFile);
        String json = new String(genesisFile, StandardCharsets.UTF_8);
        String topic = find(json, "\"transactions_topic\"\\s*:\\s*\\{[^}]*\"name\"\\s*:\\s*\"([^\"]+)\"");
        int partitions = Integer.parseInt(find(json, "\"partitions\"\\s*:\\s*(\\d+)"));

        // 2. The key and its address.
        KeyPair keys = keysOf(seed);
        byte[] x509 = keys.getPublic().getEncoded();
        byte[] publicKey = Arrays.copyOfRange(x509, x509.length - 32, x509.length);
        byte[] address = sha256(ascii("momus/address/v1"), publicKey);

        // 3. The body: Avro without a prefix.
        byte[] body = body(text);

        // 4. What is signed, and its digest, by which the transaction is known.
        byte[] message = concat(ascii("momus/transaction/v1"), genesis, publicKey, body);
        byte[] digest = sha256(message);
        Signature ed25519 = Signature.getInstance("Ed25519");
        ed25519.initSign(keys.getPrivate());
        ed25519.update(message);
        byte[] signature = ed25519.sign();

        // 5. The record's value: prefix, body, key, signature.
        Avro value = new Avro();
        value.raw(TRANSACTION_PREFIX);
        value.bytes(body);
        value.raw(publicKey);
        value.raw(signature);

        // 6. The record: keyed by the address, in the partition that all clients choose for it.
        long number = ByteBuffer.wrap(sha256(address)).getInt() & 0xffffffffL;
        int partition = (int) (number % partitions);
        Properties settings = new Properties();
        settings.put("bootstrap.servers", arguments[0]);
        settings.put("acks", "all");
        settings.put("enable.idempotence", "true");
        try (var producer = new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer())) {
            var taken = producer.send(new ProducerRecord<>(topic, partition, address, value.done())).get();
            System.out.println("digest " + HexFormat.of().formatHex(digest));
            System.out.println("position " + taken.partition() + " " + taken.offset());
        }
    }

    // C3 01, then the CRC-64-AVRO fingerprint of the Transaction schema, little-endian: see docs/producing.md.
    static final byte[] TRANSACTION_PREFIX = HexFormat.of().parseHex("c301" + "cce8b4772052c73b");

    static byte[] body(String text) {
        Avro avro = new Avro();
        avro.raw(randomBytes(16)); // nonce: fixed(16), only salt
        avro.number(System.currentTimeMillis() + VALID_FOR_MS); // expires_at_ms: long
        avro.bytes(ascii("java-example")); // reference: bytes, ours
        avro.number(1); // commands: an array, one block of one item
        avro.number(CREATE_OBJECT);
        avro.bytes(ascii("greeting")); // type: string
        avro.bytes(ascii("application/json")); // media_type: string
        avro.bytes(("{\"text\": " + quoted(text) + "}").getBytes(StandardCharsets.UTF_8)); // content: bytes
        avro.number(0); // writers: the union's null, so the object is ours alone
        avro.number(0); // the array ends
        return avro.done();
    }

    // The four shapes of Avro that are needed: fixed bytes, a zig-zag number, length-prefixed bytes or text.
    static class Avro {
        private final ByteArrayOutputStream out = new ByteArrayOutputStream();

        void raw(byte[] bytes) {
            out.writeBytes(bytes);
        }

        void number(long value) {
            long zigzag = (value << 1) ^ (value >> 63);
            while ((zigzag & ~0x7fL) != 0) {
                out.write((int) (zigzag & 0x7f | 0x80));
                zigzag >>>= 7;
            }
            out.write((int) zigzag);
        }

        void bytes(byte[] bytes) {
            number(bytes.length);
            raw(bytes);
        }

        byte[] done() {
            return out.toByteArray();
        }
    }

    // The JDK's Ed25519 generator takes 32 random bytes as the private key; these are ours.
    static KeyPair keysOf(byte[] seed) throws Exception {
        if (seed.length != 32) {
            throw new IllegalArgumentException("a seed has 32 bytes");
        }
        KeyPairGenerator generator = KeyPairGenerator.getInstance("Ed25519");
        generator.initialize(NamedParameterSpec.ED25519, new SecureRandom() {
            @Override
            public void nextBytes(byte[] bytes) {
                System.arraycopy(seed, 0, bytes, 0, bytes.length);
            }
        });
        return generator.generateKeyPair();
    }

    static byte[] sha256(byte[]... parts) throws Exception {
        return MessageDigest.getInstance("SHA-256").digest(concat(parts));
    }

    static byte[] concat(byte[]... parts) {
        var out = new ByteArrayOutputStream();
        for (byte[] part : parts) {
            out.writeBytes(part);
        }
        return out.toByteArray();
    }

    static byte[] randomBytes(int size) {
        byte[] bytes = new byte[size];
        new SecureRandom().nextBytes(bytes);
        return bytes;
    }

    static byte[] ascii(String text) {
        return text.getBytes(StandardCharsets.US_ASCII);
    }

    static String quoted(String text) {
        return "\"" + text.replace("\\", "\\\\").replace("\"", "\\\"") + "\"";
    }

    static String find(String text, String pattern) {
        var found = Pattern.compile(pattern).matcher(text);
        if (!found.find()) {
            throw new IllegalArgumentException("genesis.json has no " + pattern);
        }
        return found.group(1);
    }
}
