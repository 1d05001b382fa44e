<?php
/**
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

namespace Perennial\Wpctl;

/**
 * wpctl comment: comments.
 */
final class Comment_Commands {

	/**
	 * Gives the commands of this group.
	 *
	 * @return array<string, Command> By name.
	 */
	public static function all(): array {
		$status = static fn( string $to ) => static fn( Args $args ) => self::set_status( $args, $to );
		return array(
			'create'    => new Command(
				'--comment_post_ID=N --comment_content=C [--comment_author=A] [--comment_approved=1]',
				array( self::class, 'create' ),
				self::FLAGS
			),
			'approve'   => new Command( '<id>...', $status( 'approve' ), array(), 1, 500 ),
			'unapprove' => new Command( '<id>...', $status( 'hold' ), array(), 1, 500 ),
			'spam'      => new Command( '<id>...', $status( 'spam' ), array(), 1, 500 ),
			'trash'     => new Command( '<id>...', $status( 'trash' ), array(), 1, 500 ),
			'delete'    => new Command(
				'<id>... [--force]',
				array( self::class, 'delete' ),
				array( 'force' ),
				1,
				500
			),
			'list'      => new Command(
				'[--status=hold] [--post_id=N]',
				array( self::class, 'list' ),
				array( 'status', 'post_id', 'number' )
			),
		);
	}

	/** Fields that create takes. */
	private const FLAGS = array(
		'comment_post_ID',
		'comment_content',
		'comment_author',
		'comment_author_email',
		'comment_author_url',
		'comment_approved',
		'comment_parent',
		'user_id',
	);

	/**
	 * Creates a comment; without --comment_approved it waits for review.
	 *
	 * @param Args $args Command line.
	 * @throws Usage When post or text is missing.
	 */
	public static function create( Args $args ): void {
		$data = array_intersect_key( $args->flags, array_flip( self::FLAGS ) ) + array( 'comment_approved' => '0' );
		if ( empty( $data['comment_post_ID'] ) || empty( $data['comment_content'] ) ) {
			throw new Usage( 'comment create needs --comment_post_ID=N and --comment_content=C.' );
		}
		Input::post( (int) $data['comment_post_ID'] );
		Input::one_of( 'approval', (string) $data['comment_approved'], array( '0', '1', 'spam' ) );
		$id = $args->on( 'dry-run' ) ? 0 : wp_insert_comment( wp_slash( $data ) );
		if ( false === $id ) {
			throw new Failure( 'The comment was not created.' );
		}
		Out::created( $args, $id, "Created comment $id." );
	}

	/**
	 * Changes the status of comments.
	 *
	 * @param Args   $args Command line.
	 * @param string $to   approve, hold, spam or trash.
	 */
	private static function set_status( Args $args, string $to ): void {
		$comments = array_map( array( Input::class, 'comment' ), $args->ids() );
		foreach ( $comments as $comment ) {
			$now = wp_get_comment_status( $comment );
			if ( ! $args->on( 'dry-run' ) && array(
				'approve' => 'approved',
				'hold' => 'unapproved',
			)[ $to ] ?? $to !== $now ) {
				wp_set_comment_status( $comment, $to );
			}
			Out::success( $args, "Comment {$comment->comment_ID}: $to." );
		}
	}

	/**
	 * Moves comments to the trash, or deletes them for ever with --force.
	 *
	 * @param Args $args Command line.
	 */
	public static function delete( Args $args ): void {
		$comments = array_map( array( Input::class, 'comment' ), $args->ids() );
		foreach ( $comments as $comment ) {
			if ( ! $args->on( 'dry-run' ) && ! wp_delete_comment( $comment, $args->on( 'force' ) ) ) {
				throw new Failure( "Comment {$comment->comment_ID} was not deleted." );
			}
			Out::success( $args, "Deleted comment {$comment->comment_ID}." );
		}
	}

	/**
	 * Lists comments.
	 *
	 * @param Args $args Command line.
	 */
	public static function list( Args $args ): void {
		$status = Input::one_of(
			'status',
			$args->get( 'status', 'all' ),
			array( 'all', 'hold', 'approve', 'spam', 'trash' )
		);
		$found  = get_comments(
			array(
				'status' => $status,
				'post_id' => (int) $args->get( 'post_id', '0' ),
				'number' => (int) $args->get( 'number', '0' ),
				'orderby' => 'comment_ID',
			)
		);
		$rows   = array_map( static fn( $comment ) => $comment->to_array(), $found );
		Out::rows(
			$args,
			$rows,
			array(
				'comment_ID',
				'comment_post_ID',
				'comment_date',
				'comment_approved',
				'comment_author',
				'comment_content',
			),
			'comment_ID'
		);
	}
}
