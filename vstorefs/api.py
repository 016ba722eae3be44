"""What `import vstorefs` offers to programs."""
