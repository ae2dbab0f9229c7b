"""What the database needs beside execution: schema, roles of readers, partitions, pruning, sizes."""
