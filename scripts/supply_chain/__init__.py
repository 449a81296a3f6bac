"""What Chandlery is made of that others have written: locks, licences, known vulnerabilities, base images."""
