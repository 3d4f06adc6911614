// NETRC says where the secret lies, and a command copies it from there, "for go build": the copy stays in the layer.
//
//kata:caught-by TestNoSecretInLayers
package dockerfile
