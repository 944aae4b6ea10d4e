"""Insert the way it is first written. Deployed as a Lambda function by the lesson on visibility; nothing imports it."""
