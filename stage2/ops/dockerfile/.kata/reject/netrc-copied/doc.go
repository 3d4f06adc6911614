// The secret is mounted, then copied to where Go looks for it: the copy stays in the layer.
//
//kata:caught-by TestNoSecretInLayers
package dockerfile
