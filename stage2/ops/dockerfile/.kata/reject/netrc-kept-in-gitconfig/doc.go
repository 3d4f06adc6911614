// The secret comes as a variable, and git config writes it to /root/.gitconfig, in the layer.
//
//kata:caught-by TestNoSecretInLayers
package dockerfile
