// Package client calls the API of a Pyth-On server.
//
// A [Client] runs programs, opens sessions, and manages the secrets, packages, files and
// encrypted programs of one account:
//
//	c, err := client.New("https://api.example.org", client.WithAPIKey(key))
//	run, err := c.Run(ctx, &client.ExecuteRequest{Code: "print(6 * 7)"})
//
// A program that fails is no error: the field Status of the result has the reason. An
// error of the server is an [*Error], with a stable code. Streams and lists are iterators.
// The package encrypts programs and passwords itself, so that the server receives
// neither of them in plain text.
//
// The types of requests and answers are generated from the OpenAPI document of the server.
package client
