// Package client calls the API of a Pyth-On server.
//
// A [Client] runs programs, opens sessions, and manages the secrets, packages, files and
// encrypted programs of one account:
//
//	c, err := client.New("https://api.example.org", client.WithAPIKey(key))
//	run, err := c.Run(ctx, &client.ExecuteRequest{Code: "print(6 * 7)"})
//
// If a program fails, the method returns no error, and the field Status of the result
// contains the reason. If the server responds with an error, the method returns an
// [*Error] with a stable code. Streams and lists are iterators. The package encrypts
// programs and passwords itself, so the server never receives their plain text.
//
// The types of requests and responses are generated from the OpenAPI document of the
// server.
package client
