<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Figures about the site for the metrics files; read by `wpctl perennial stats`.
 */

namespace Perennial;

defined( 'ABSPATH' ) || exit;

/**
 * Measures the site.
 *
 * @return array<string, array{help: string, value: float|int}> Metric name to help text and value.
 */
function stats(): array {
	global $wpdb, $wp_db_version;
	$now    = time();
	$oldest = min( array( $now, ...array_keys( _get_cron_array() ) ) );
	$missed = "SELECT COUNT(*) FROM $wpdb->posts WHERE post_status = 'future' AND post_date_gmt < %s";
	// A minute of grace: cron runs once a minute.
	$limit  = gmdate( 'Y-m-d H:i:s', $now - MINUTE_IN_SECONDS );
	$values = array(
		'perennial_wp_cron_overdue_seconds'   => array( 'Age of the oldest due cron event.', $now - $oldest ),
		// phpcs:ignore WordPress.DB.PreparedSQL.NotPrepared
		'perennial_wp_posts_missed_schedule'  => array(
			'Scheduled posts past their time.',
			(int) $wpdb->get_var( $wpdb->prepare( $missed, $limit ) ),
		),
		'perennial_wp_db_version_match'       => array(
			'1 when the database schema fits the code.',
			(int) ( (int) get_option( 'db_version' ) === (int) $wp_db_version ),
		),
		'perennial_wp_comments_pending'       => array( 'Comments waiting for review.', count_comments( '0' ) ),
		'perennial_wp_posts_pending'          => array( 'Posts waiting for review.', count_posts( 'pending' ) ),
		'perennial_wp_posts_published'        => array( 'Published posts.', count_posts( 'publish' ) ),
	);
	return array_map( static fn( array $pair ) => array( 'help' => $pair[0], 'value' => $pair[1] ), $values );
}

/**
 * Counts posts of a status.
 *
 * @param string $status Post status.
 */
function count_posts( string $status ): int {
	global $wpdb;
	return (int) $wpdb->get_var(
		$wpdb->prepare( "SELECT COUNT(*) FROM $wpdb->posts WHERE post_type = 'post' AND post_status = %s", $status )
	);
}

/**
 * Counts comments of an approval state.
 *
 * @param string $approved `0` pending, `1` approved.
 */
function count_comments( string $approved ): int {
	global $wpdb;
	return (int) $wpdb->get_var(
		$wpdb->prepare( "SELECT COUNT(*) FROM $wpdb->comments WHERE comment_approved = %s", $approved )
	);
}
