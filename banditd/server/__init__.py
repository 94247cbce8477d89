"""The gRPC server: checks, converts, calls, converts back. Sockets and protobuf end here."""
